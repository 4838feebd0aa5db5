"""The photo that an edit was learned from, and whether a given one is that photo."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from ..edit import Edit
from ..edit_file import NotAnEdit
from ..edit_fit import is_same_photo
from . import pictures
from .images import as_picture, resized

_SHAPE = 0.02  # how much a photo's width over its height may be off, as a share, beside what rounding makes of it


def latent_of(saved: Edit, name: str, image: Any, pipeline: DiffusionPipeline, multiple: int) -> Tensor:
    """The latent of the photo that an edit was learned from.

    Args:
        name: of the file.
        image: the photo at any size, as `tune` takes it, or None.
        multiple: of a latent's height and width, for the pipeline's network.

    Raises:
        NotAnEdit: the file holds only a small picture of it, and no image is given.
        ValueError: the image has another shape, or shows another photo.
    """
    scale, preview = pipeline.vae_scale_factor, Image.fromarray(np.asarray(saved.preview))
    unit = scale * multiple
    width, height = saved.about.get("size", preview.size)
    if saved.photo is not None:
        height, width = (length * scale for length in saved.photo.shape[-2:])
    elif image is None and preview.size != (width, height):
        raise NotAnEdit(f"{name} holds only a small picture of the photo: give the photo as image (--photo).")

    def encoded(picture: Image.Image) -> Tensor:
        return pictures.encode(pipeline, picture, multiple)

    if image is None:
        return encoded(preview) if saved.photo is None else saved.photo
    photo = as_picture("image", image)
    _check_shape(photo, name, width, height, unit)
    given = encoded(_cropped(photo, width, height, saved.about.get("size", (width, height)), scale))
    if saved.photo is not None:
        kept, found = saved.photo, given
    else:
        sides = [max(unit, side // unit * unit) for side in preview.size]
        kept, found = (encoded(resized(picture, *sides)) for picture in (preview, photo))
    if not is_same_photo(kept, found):
        raise ValueError(f"image is another photo than the one that {name} was learned from: give that one.")
    return given if saved.photo is None else saved.photo


def _cropped(photo: Image.Image, width: int, height: int, size: Sequence[int], scale: int) -> Image.Image:
    """The part that was encoded. ComfyUI's VAE Encode cuts off what is left of a photo of that size over whole latent
    positions, and diffusers scales it."""
    left, top = size[0] - width, size[1] - height
    if not (0 <= left < scale and 0 <= top < scale):  # it was encoded at another size than it is told to have
        return resized(photo, width, height)
    return resized(photo, *size).crop((left // 2, top // 2, left // 2 + width, top // 2 + height))


def _check_shape(photo: Image.Image, name: str, width: int, height: int, unit: int) -> None:
    """Whether a photo may be the one that an edit was learned from, at another size.

    Args:
        name: of the file.
        width, height: at which it was learned, in pixels; each side may have been rounded by up to `unit`.

    Raises:
        ValueError: it has another shape.
    """
    rounding = unit / width + unit / height
    if abs(math.log(photo.width / photo.height * height / width)) > max(_SHAPE, rounding):
        raise ValueError(
            f"image is {photo.width} x {photo.height}, and {name} was learned from {width} x {height} pixels, another "
            "shape: crop it as it was there."
        )
