"""Imagic for diffusers pipelines, without ComfyUI: a photo, a sentence and a pipeline in, an edit out.

edit = tune(pipeline, photo, "a brown dog wearing a hat")   # stages A and B
picture = edit.sample(eta=1.2)                              # stage C, keeping the rest of the photo
"""

from .denoiser import DiffusersDenoiser
from .edit import ImagicEdit, tune

__all__ = ["DiffusersDenoiser", "ImagicEdit", "tune"]
