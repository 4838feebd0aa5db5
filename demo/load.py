"""The demo models as objects of diffusers and transformers, in float32.

The one that is installed is loaded by the package, which reads the weights beside this.
"""

from pathlib import Path

from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel

from demo.flow import FlowPipeline
from demo.words import FLOW_LENGTH, Tokenizer
from imagic.diffusers.demo import (
    MODEL,
    PLAINLY,
    compact_text_encoder_tensors,
    pipeline,
    text_encoder,
    text_encoder_tensors,
    unet,
    vae,
)

__all__ = [
    "FLOW_MODEL",
    "MODEL",
    "compact_text_encoder_tensors",
    "flow_pipeline",
    "pipeline",
    "text_encoder",
    "text_encoder_tensors",
    "transformer",
    "unet",
    "vae",
]

FLOW_MODEL = Path(__file__).parent / "flow_model"


def transformer(folder: Path = FLOW_MODEL) -> SD3Transformer2DModel:
    return SD3Transformer2DModel.from_pretrained(folder / "transformer", **PLAINLY)


def flow_pipeline(folder: Path = FLOW_MODEL) -> FlowPipeline:
    """
    Raises:
        FileNotFoundError: the model is not there.
    """
    if not (folder / "transformer").is_dir():
        raise FileNotFoundError(f"The flow model is missing from {folder}: make it with `make flow-model`.")
    return FlowPipeline(
        transformer=transformer(folder),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        vae=vae(folder),
        text_encoder=text_encoder(folder),
        tokenizer=Tokenizer(FLOW_LENGTH),
        text_encoder_2=None,
        tokenizer_2=None,
        text_encoder_3=None,
        tokenizer_3=None,
    )
