"""Writes the trained networks as a diffusers folder in half precision."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, ModelMixin
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from demo import classifier, words
from demo.load import MODEL
from demo.training.data import to_tensor
from demo.training.text_to_image import scheduler, text_config

_PARTS = {
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderTiny"],
}
_ABSENT = ("tokenizer", "safety_checker", "feature_extractor", "image_encoder")


def latent_rgb(latents: Tensor, pictures: np.ndarray) -> dict:
    """Least squares from a latent (C) to the colour of its 8 x 8 pixels (3, in [-1, 1]): factors (C, 3), bias (3).

    Previews while sampling use it in the decoder's stead.
    """
    colours = F.avg_pool2d(to_tensor(pictures), 8).permute(0, 2, 3, 1).reshape(-1, 3)
    values = latents.permute(0, 2, 3, 1).flatten(0, 2)
    values = torch.cat([values, torch.ones(len(values), 1)], dim=1)
    solution = torch.linalg.lstsq(values, colours).solution
    return {"latent_rgb_factors": solution[:-1].tolist(), "latent_rgb_factors_bias": solution[-1].tolist()}


def _half(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu().half().contiguous() for name, value in network.state_dict().items()}


def save(network: ModelMixin, folder: Path) -> None:
    folder.mkdir(parents=True)
    network.save_config(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)  # where it was loaded from, if it was trained further
    # AutoencoderTiny derives this one itself, and warns when it is told.
    if isinstance(network, AutoencoderTiny):
        del config["block_out_channels"]
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(_half(network), folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


def save_text_encoder(network: nn.Module, folder: Path, length: int = words.LENGTH) -> None:
    """Names as in Stable Diffusion 1.5, and of the embedding table only the rows in use (see `demo.load`)."""
    folder.mkdir(parents=True)
    tensors = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in _half(network).items()}
    tensors["token_ids"] = torch.tensor(words.TOKEN_IDS)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = text_config(words.VOCABULARY_SIZE, words.START, words.END, length)
    config.architectures = ["CLIPTextModel"]
    config.save_pretrained(folder)


def save_json(content: dict, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def publish(staging: Path, folder: Path) -> None:
    """Move the staged model file by file, so that whoever loads it meanwhile never finds half a file."""
    for file in (path for path in staging.rglob("*") if path.is_file()):
        target = folder / file.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)


def write(networks: nn.ModuleDict, vae: AutoencoderTiny, preview: dict, staging: Path) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    save(networks["unet"], staging / "unet")
    save(vae, staging / "vae")
    save_text_encoder(networks["text"], staging / "text_encoder")
    scheduler().save_pretrained(staging / "scheduler")
    index = {"_class_name": "StableDiffusionPipeline", **_PARTS, **{name: [None, None] for name in _ABSENT}}
    save_json(index | {"requires_safety_checker": False}, staging / "model_index.json")
    save_json(preview, staging / "latent_rgb.json")
    publish(staging, MODEL)


def write_classifier(judge: classifier.Classifier, staging: Path) -> None:
    staging.mkdir(parents=True, exist_ok=True)
    save_file(_half(judge), staging / "classifier.safetensors")
    (staging / "classifier.safetensors").replace(classifier.PATH)
