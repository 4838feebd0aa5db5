"""The demo model and the flow model as objects of diffusers and transformers, in float32."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderTiny,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from demo.flow import FlowPipeline
from demo.words import FLOW_LENGTH, VOCABULARY_SIZE, Tokenizer

MODEL = Path(__file__).parent / "model"
FLOW_MODEL = Path(__file__).parent / "flow_model"
# Without accelerate, which saves memory that a model of this size does not need.
_PLAINLY = {"torch_dtype": torch.float32, "low_cpu_mem_usage": False}

_TABLE = "text_model.embeddings.token_embedding.weight"


def vae(folder: Path = MODEL) -> AutoencoderTiny:
    return AutoencoderTiny.from_pretrained(folder / "vae", **_PLAINLY)


def unet() -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(MODEL / "unet", **_PLAINLY)


def transformer(folder: Path = FLOW_MODEL) -> SD3Transformer2DModel:
    return SD3Transformer2DModel.from_pretrained(folder / "transformer", **_PLAINLY)


def compact_text_encoder_tensors(folder: Path = MODEL) -> dict[str, torch.Tensor]:
    """Weights under the names of Stable Diffusion 1.5's text encoder, as the file holds them.

    Its table has only the rows of words the model knows, which "token_ids" names, and last the one row that all other
    words share.
    """
    tensors = load_file(folder / "text_encoder" / "model.safetensors")
    return {name: value if name == "token_ids" else value.float() for name, value in tensors.items()}


def text_encoder_tensors(folder: Path = MODEL) -> dict[str, torch.Tensor]:
    """The same with CLIP's whole table (49408, 128)."""
    tensors = compact_text_encoder_tensors(folder)
    known, rows = tensors.pop("token_ids"), tensors[_TABLE]
    tensors[_TABLE] = rows[-1].expand(VOCABULARY_SIZE, -1).clone()
    tensors[_TABLE][known] = rows[:-1]
    return tensors


def text_encoder(folder: Path = MODEL) -> CLIPTextModel:
    model = CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder"))
    own = model.state_dict()
    # transformers 5 dropped the names' first part.
    tensors = text_encoder_tensors(folder).items()
    model.load_state_dict({name if name in own else name.removeprefix("text_model."): v for name, v in tensors})
    return model.eval()


def pipeline() -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=vae(),
        text_encoder=text_encoder(),
        tokenizer=Tokenizer(),
        unet=unet(),
        scheduler=DDIMScheduler.from_pretrained(MODEL / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


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
