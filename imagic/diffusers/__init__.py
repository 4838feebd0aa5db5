"""Imagic for diffusers pipelines, without ComfyUI: a photo, a sentence and a pipeline in, an edit out.

edit = tune(pipeline, photo, "a brown dog wearing a hat")   # stages A and B
picture = edit.sample(eta=1.2)                              # stage C, keeping the rest of the photo
"""

from pathlib import Path

from .denoiser import DiffusersDenoiser
from .edit import ImagicEdit
from .fitting import fitted, native_size, restored
from .imagic_stable_diffusion import ImagicStableDiffusionPipeline
from .imagic_stable_diffusion_xl import ImagicStableDiffusionXLPipeline
from .loading import load_pipeline
from .settings import EmbeddingSettings, TuningSettings
from .tuning import instant, tune

# What `DiffusionPipeline.from_pretrained(..., custom_pipeline=)` takes, in the place of "imagic_stable_diffusion".
CUSTOM_PIPELINE = str(Path(__file__).with_name("imagic_stable_diffusion.py"))
CUSTOM_PIPELINE_XL = str(Path(__file__).with_name("imagic_stable_diffusion_xl.py"))

__all__ = [
    "CUSTOM_PIPELINE",
    "CUSTOM_PIPELINE_XL",
    "DiffusersDenoiser",
    "EmbeddingSettings",
    "ImagicEdit",
    "ImagicStableDiffusionPipeline",
    "ImagicStableDiffusionXLPipeline",
    "TuningSettings",
    "fitted",
    "instant",
    "load_pipeline",
    "native_size",
    "restored",
    "tune",
]
