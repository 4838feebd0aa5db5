"""The demo model as objects of diffusers and transformers: 128 x 128 pixel scenes of animals, no download.

`demo/training` makes it, and ComfyUI's node reads the same files.
"""

from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from .demo_words import MODEL, VOCABULARY_SIZE, Tokenizer

# Without accelerate, which saves memory that a model of this size does not need.
PLAINLY = {"torch_dtype": torch.float32, "low_cpu_mem_usage": False}

_TABLE = "text_model.embeddings.token_embedding.weight"


def vae(folder: Path = MODEL, dtype: torch.dtype = torch.float32) -> AutoencoderTiny:
    return AutoencoderTiny.from_pretrained(folder / "vae", **PLAINLY | {"torch_dtype": dtype})


def unet(dtype: torch.dtype = torch.float32) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(MODEL / "unet", **PLAINLY | {"torch_dtype": dtype})


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


def pipeline(dtype: torch.dtype = torch.float32) -> StableDiffusionPipeline:
    """The whole model."""
    return StableDiffusionPipeline(
        vae=vae(dtype=dtype),
        text_encoder=text_encoder().to(dtype),
        tokenizer=Tokenizer(),
        unet=unet(dtype),
        scheduler=DDIMScheduler.from_pretrained(MODEL / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
