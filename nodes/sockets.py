"""What each of the host's types must hold, whatever a graph or a script sends: a check for each socket.

Each takes the input's name and value, gives the value back, and raises a ValueError of one sentence otherwise.
"""

from typing import Any

from torch import Tensor

from ..imagic import checks
from . import stitcher
from .tensors import text_tensors


def model(name: str, value: Any) -> Any:
    base = getattr(value, "model", None)
    if not all(hasattr(base, part) for part in ("latent_format", "model_config")):
        raise ValueError(f"The {name} is no MODEL: connect the MODEL of Load Checkpoint.")
    return value


def clip(name: str, value: Any) -> Any:
    if not hasattr(value, "tokenize") or not hasattr(value, "encode_from_tokens"):
        raise ValueError(f"The {name} is no text encoder: connect the CLIP of Load Checkpoint or Load CLIP.")
    return value


def vae(name: str, value: Any) -> Any:
    if not hasattr(value, "first_stage_model") or not hasattr(value, "encode"):
        raise ValueError(f"The {name} is no VAE: connect the VAE of Load Checkpoint, or Load VAE if that has none.")
    return value


def clip_vision(name: str, value: Any) -> Any:
    if not hasattr(value, "encode_image"):
        raise ValueError(f"The {name} is no image encoder: connect Load CLIP Vision.")
    return value


def entries(name: str, value: Any) -> list:
    """The entries of a CONDITIONING, each tokens [N, tokens, width] and a dict."""
    what = subject(name)
    if not isinstance(value, list | tuple) or not len(value):
        raise ValueError(f"{what} is empty: connect CLIP Text Encode with the text.")
    for entry in value:
        if not isinstance(entry, list | tuple) or len(entry) != 2 or not _named(entry[1]):
            raise ValueError(f"{what} is not tokens of a text and what belongs to them: connect CLIP Text Encode.")
        tokens, extras = entry
        if not isinstance(tokens, Tensor) or tokens.numel() == 0:
            raise ValueError(f"{what} is empty: connect CLIP Text Encode with the text.")
        if tokens.ndim != 3 or not tokens.is_floating_point():
            raise ValueError(
                f"{what} is {list(tokens.shape)}, not tokens of a text: connect CLIP Text Encode of the same "
                "checkpoint."
            )
        text, fixed = text_tensors(tokens, extras)
        for part, tensor in text.items():
            if tensor.numel() == 0:
                raise ValueError(f"{what} has an empty {part}: connect CLIP Text Encode with the text.")
            checks.finite(what, tensor, "run the text encoder in fp32")
        for key, number in fixed.items():
            if isinstance(number, float):
                checks.number(f"{key} of {what[0].lower()}{what[1:]}", number)
    return list(value)


def _named(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def subject(name: str) -> str:
    """What a sentence calls a CONDITIONING."""
    return f"The {name}" if name.endswith("conditioning") else f"The {name} conditioning"


def image(name: str, value: Any) -> Tensor:
    """An IMAGE [N, H, W, C] in 0..1, N at least 1, C 1, 3 or 4."""
    what = f"The {name.removesuffix('s')}"
    if not isinstance(value, Tensor) or value.ndim != 4 or not value.is_floating_point():
        raise ValueError(f"{what} is not an IMAGE: connect VAE Decode or Load Image.")
    if value.numel() == 0:
        raise ValueError(f"{what} is empty, {list(value.shape)}: connect a node that gives a picture.")
    if value.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"{what} has {value.shape[-1]} channels, not an IMAGE of RGB: connect VAE Decode or Load Image."
        )
    return checks.finite(what, value, "decode it with the VAE in fp32")


def mask(name: str, value: Any) -> Tensor:
    """A single MASK, [1, H, W] or [H, W], in 0..1."""
    if not isinstance(value, Tensor) or value.ndim not in (2, 3, 4) or value.is_complex():
        raise ValueError(f"The {name} is not a MASK: paint one on Load Image, or connect a node that makes one.")
    if value.numel() == 0:
        raise ValueError(f"The {name} has no pixels, {list(value.shape)}: paint one of the photo's size.")
    if value.shape[:-2].numel() != 1:
        raise ValueError(f"The {name} holds {value.shape[:-2].numel()} masks: give a single one.")
    return checks.finite(f"The {name}", value, "paint or make it again")


def lora(name: str, value: Any) -> dict[str, Tensor]:
    """A LORA_MODEL: tensors by name."""
    if not _named(value) or not value or not all(isinstance(tensor, Tensor) for tensor in value.values()):
        raise ValueError(f"The {name} is not one that Fine-Tune UNet made: connect its lora output.")
    for tensor in value.values():
        checks.finite(f"The {name}", tensor, "tune again with a lower learning rate")
    return value


def losses(name: str, value: Any) -> dict:
    """A LOSS_MAP: a loss for each step, and validation losses at some steps."""
    if not isinstance(value, dict) or not isinstance(value.get("loss"), list | tuple) or not value["loss"]:
        raise ValueError(f"The {name} is empty: connect the loss output of a node that trained.")
    points = [value.get(part) or [] for part in ("validation", "validation_steps")]
    if not all(isinstance(part, list | tuple) for part in points) or len(points[0]) != len(points[1]):
        raise ValueError(f"The {name} tells validation losses without their steps: connect a node that trained.")
    for step, number in enumerate(value["loss"], 1):
        checks.number(f"The {name} of step {step}", number)
    for number in (*points[0], *points[1]):
        checks.number(f"A validation loss of the {name}", number)
    return value


SOCKETS = {
    "MODEL": model,
    "CLIP": clip,
    "VAE": vae,
    "CLIP_VISION": clip_vision,
    "CONDITIONING": entries,
    "IMAGE": image,
    "MASK": mask,
    "LORA_MODEL": lora,
    "LOSS_MAP": losses,
    "STITCHER": stitcher.checked,
}
