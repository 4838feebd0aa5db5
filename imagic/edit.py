"""What is kept of a finished tuning, and what each part of it must be."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from . import checks
from .denoiser import Conditioning
from .fingerprint import TENSORS, VALUES, Fingerprint

PREVIEW = 1024  # pixels of a side, at most
MOST_OF_ONE = 2**31  # bytes of one tensor; the largest layers of known networks take a tenth of it in fp32
MOST_PIXELS = 2**29  # of a photo
HALF = re.compile("[\ud800-\udfff]")  # of a character: JSON can hold it, and no text is encoded with it
LEVELS = 50  # of lists and dicts in each other
# The parts of an update that belong together, as LoRA files of either layout name them.
PAIRS = {".lora_down.weight": ".lora_up.weight", ".lora_A.weight": ".lora_B.weight"}
FULL = ".diff", ".diff_b"


@dataclass
class Edit:
    """What the stages A and B learned about a photo."""

    optimized: Conditioning
    anchor: Conditioning  # the text that stage A started from
    update: dict[str, Tensor]  # of the network, as LoRA files name it
    preview: Tensor  # of the source, uint8 [H, W, 3]
    base: Fingerprint
    photo: Tensor | None = None  # its latent, [1, C, ...], in the model's scale; None where the user keeps it
    # What JSON can hold: how it was made, and what else belongs to the conditionings.
    about: dict[str, Any] = field(default_factory=dict)


def check_structure(edit: Edit) -> None:
    """Check names, shapes and types; tensors may be on the device "meta".

    Raises:
        ValueError: one part is not what it must be.
    """
    for name, tensor in _tensors(edit):
        if not 0 < tensor.numel() * tensor.dtype.itemsize <= MOST_OF_ONE:
            raise ValueError(f"The edit's {name} is empty or too large.")
    _check_text("optimized", edit.optimized)
    _check_text("anchor", edit.anchor)
    _check_update(edit.update)
    height, width, channels = edit.preview.shape if edit.preview.ndim == 3 else (0, 0, 0)
    if str(edit.preview.dtype) != "torch.uint8" or channels != 3 or max(height, width) > PREVIEW:
        raise ValueError(f"The edit's preview is {list(edit.preview.shape)} of {edit.preview.dtype}.")
    values = edit.base.values
    if values.ndim != 1 or len(values) > TENSORS * VALUES or not values.is_floating_point():
        raise ValueError(f"The edit's fingerprint is {list(values.shape)} of {values.dtype}.")
    if edit.photo is not None and (
        edit.photo.ndim not in (4, 5) or len(edit.photo) != 1 or not edit.photo.is_floating_point()
    ):
        raise ValueError(f"The edit's photo is {list(edit.photo.shape)} of {edit.photo.dtype}.")
    _check_about(edit.about)
    if not isinstance(edit.base.kind, str):
        raise ValueError("The edit does not tell its kind of model.")


def check_finite(edit: Edit) -> None:
    """Raises ValueError if a tensor holds NaN or infinite values."""
    for name, tensor in _tensors(edit):
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            raise ValueError(f"The edit's {name} holds NaN or infinite values.")


def _tensors(edit: Edit) -> Iterator[tuple[str, Tensor]]:
    """All, each with what a sentence calls it."""
    yield from {"preview": edit.preview, "fingerprint": edit.base.values}.items()
    if edit.photo is not None:
        yield "photo", edit.photo
    for group in (edit.optimized, edit.anchor, edit.update):
        yield from group.items()


def _check_text(name: str, text: Conditioning) -> None:
    """Of a conditioning: its tokens [1, tokens, width], and whatever else is in it."""
    tokens = text.get("cross_attn")
    if tokens is None or tokens.ndim != 3 or len(tokens) != 1 or not tokens.is_floating_point():
        raise ValueError(f"The edit's {name} conditioning is not tokens of one text.")


def _check_update(update: dict[str, Tensor]) -> None:
    layers = 0
    for key, tensor in update.items():
        if not tensor.is_floating_point():
            raise ValueError(f"The edit's {key} is of {tensor.dtype}.")
        if key.endswith(".alpha") and tensor.numel() != 1:
            raise ValueError(f"The edit's {key} is {list(tensor.shape)}, not one number.")
        for down, up in PAIRS.items():
            if key.endswith(up) and key.removesuffix(up) + down not in update:
                raise ValueError(f"The edit's {key} has no counterpart.")
            if key.endswith(down):
                other = update.get(key.removesuffix(down) + up)
                if other is None or min(tensor.ndim, other.ndim) < 2 or other.shape[1] != len(tensor):
                    raise ValueError(f"The edit's {key} has no counterpart of its rank.")
                layers += 1
        layers += key.endswith(FULL)
    if not layers:
        raise ValueError("The edit has no tuned layers.")


def _check_about(about: Any) -> None:
    if not isinstance(about, dict) or _levels(about) > LEVELS:
        raise ValueError("What the edit tells of itself is nothing that a file can hold.")
    needed = ("base", "text") if "pipeline" in about else ("base",)
    for part in ("base", "text", "pipeline"):
        if not isinstance(about.get(part, None if part in needed else ""), str):
            raise ValueError(f"The edit does not tell its {part}.")
        if HALF.search(about.get(part, "")):
            raise ValueError(f"The edit's {part} is no text.")
    size, settings = about.get("size", (1, 1)), about.get("settings", [])
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise ValueError("The edit does not tell its photo's size.")
    if math.prod(size) > MOST_PIXELS:
        raise ValueError("The edit's photo is too large.")
    if not isinstance(settings, list) or not all(isinstance(node, dict) for node in settings):
        raise ValueError("The edit's settings are not those of nodes.")
    for part in ("optimized", "anchor"):
        rest = about.get(part, {})
        if not isinstance(rest, dict):
            raise ValueError(f"What belongs to the edit's {part} conditioning has no names.")
        for name, value in rest.items():
            if not isinstance(value, str | int | float | None):
                raise ValueError(f"{name} of the edit's {part} conditioning is neither a number nor a text.")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} of the edit's {part} conditioning is NaN or infinite.")
        if rest.get("guidance") is not None:
            checks.number(f"guidance of the edit's {part} conditioning", rest["guidance"], *checks.GUIDANCE)


def _levels(value: Any, so_far: int = 1) -> int:
    """How many lists and dicts are in each other, or a few more than may be."""
    if not isinstance(value, dict | list | tuple) or so_far > LEVELS:
        return so_far
    inside = value.values() if isinstance(value, dict) else value
    return max((_levels(part, so_far + 1) for part in inside), default=so_far)
