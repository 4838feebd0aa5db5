"""Pictures as callers of diffusers have them: PIL, arrays and tensors, in and out."""

from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from .. import checks
from ..cropping import Box, cut_out
from ..photo import PAPER, UNPAINTED, normalized
from . import pictures

OUTPUT_TYPES = ("pil", "np", "pt", "latent")


def as_picture(name: str, image: Any, paper: tuple[int, int, int] = PAPER) -> Image.Image:
    """An upright RGB picture of 8 bits a channel.

    Args:
        name: of the argument, for the errors.
        image: PIL of any mode; an array [H, W], [H, W, C] or [1, H, W, C], or a tensor [H, W], [C, H, W] or
            [1, C, H, W]. Both hold uint8, truth values or 0..1, and C is 1 or 3.
        paper: behind what is transparent.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(image, Image.Image):
        return normalized(image, paper)
    values, channels = image, -1
    if isinstance(image, Tensor):
        values, channels = image.detach().cpu(), -3
        values = (values.float() if values.is_floating_point() else values).numpy()
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{name} is {checks.shown(image)}: give it a PIL picture, an array or a tensor.")
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim == 3:
        values = np.moveaxis(values, channels, -1)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[-1] not in (1, 3) or not values.size:
        form = "[H, W, 3]" if channels == -1 else "[3, H, W]"
        raise ValueError(f"{name} has the shape {list(image.shape)}: give it one picture, {form}.")
    if values.dtype == bool:
        values = values.astype(np.float32)
    if values.dtype != np.uint8:
        if values.dtype.kind != "f" or not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError(f"{name} holds numbers outside of 0 to 1: scale them, or give it as uint8.")
        values = (values * 255).round().astype(np.uint8)
    return Image.fromarray(np.repeat(values, 3 // values.shape[-1], -1))


def as_mask(name: str, mask: Any) -> Image.Image:
    """A grey picture of what `as_picture` takes; what is transparent was not painted, and is black.

    Raises:
        ValueError: it is none of these.
    """
    return as_picture(name, mask, UNPAINTED).convert("L")


def is_latent_region(mask: Any, latent: Tensor) -> bool:
    """Whether it has the shape of what `ImagicEdit.region` gives for a photo's latent, [1, 1, ..., h, w]."""
    return isinstance(mask, Tensor) and list(mask.shape) == [1, 1, *latent.shape[2:]]


def as_region(name: str, mask: Any, latent: Tensor) -> Tensor:
    """Where the photo may change, 0..1, [1, 1, ..., h, w] of a latent's size.

    Args:
        mask: a tensor of that shape, as `ImagicEdit.region` gives, or a picture of any size as `as_picture` takes,
            which is scaled: white may change.

    Raises:
        ValueError: it is neither, or holds what is no share.
    """
    if is_latent_region(mask, latent):
        checks.finite(name, mask, "find or draw it again")
        if mask.min() < 0 or mask.max() > 1:
            raise ValueError(f"{name} holds values outside of 0 to 1: scale them, 1 is where the photo may change.")
        return mask.float()
    shape = [1, 1, *latent.shape[2:]]
    white = as_mask(name, mask).resize(shape[:-3:-1], Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(white, dtype=np.float32) / 255).expand(shape).clone()


def to_values(picture: Image.Image) -> Tensor:
    """[H, W, 3], 0..1; [H, W] of a grey one."""
    return torch.from_numpy(np.array(picture)).float() / 255


def to_picture(values: Tensor) -> Image.Image:
    """Of [H, W, 3], 0..1."""
    return Image.fromarray((values * 255).round().byte().numpy())


def resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    """An RGB picture in another size; the same one where it has that size."""
    if picture.size == (width, height):
        return picture
    return to_picture(cut_out(to_values(picture), Box(0, 0, *picture.size), width, height))


def from_latent(pipeline: DiffusionPipeline, latent: Tensor, output_type: str) -> Image.Image | np.ndarray | Tensor:
    """The picture of a latent [1, C, ...], as `images[0]` of the pipeline's own output would have it.

    Args:
        output_type: "pil"; "np", [H, W, 3], 0..1; "pt", [3, H, W], 0..1; or "latent", [C, ...], fp32, in the network's
            scale.
    """
    if output_type == "latent":
        return latent[0]
    return pictures.decode(pipeline, latent, output_type)
