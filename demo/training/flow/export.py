"""Writes the flow model as a diffusers folder in half precision."""

import shutil
from pathlib import Path

from diffusers import AutoencoderTiny
from torch import nn

from demo import words
from demo.load import FLOW_MODEL
from demo.training.export import publish, save, save_json, save_text_encoder
from demo.training.flow.transformer import scheduler

_INDEX = {
    "_class_name": "StableDiffusion3Pipeline",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "transformer": ["diffusers", "SD3Transformer2DModel"],
    "vae": ["diffusers", "AutoencoderTiny"],
}
_ABSENT = ("text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3")


def write(
    networks: nn.ModuleDict, vae: AutoencoderTiny, preview: dict, staging: Path, folder: Path = FLOW_MODEL
) -> None:
    """`networks` {"transformer", "text"} and the autoencoder, by way of `staging`, into `folder`."""
    shutil.rmtree(staging, ignore_errors=True)
    save(networks["transformer"], staging / "transformer")
    save(vae, staging / "vae")
    save_text_encoder(networks["text"], staging / "text_encoder", words.FLOW_LENGTH)
    scheduler().save_pretrained(staging / "scheduler")
    save_json(_INDEX | {name: [None, None] for name in _ABSENT}, staging / "model_index.json")
    save_json(preview, staging / "latent_rgb.json")
    publish(staging, folder)
