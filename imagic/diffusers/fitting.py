"""A photo of any size: the part that a model draws, and the edit put back into it."""

import numpy as np
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from .. import checks
from ..cropping import Box, part_size
from ..part_region import without_squares
from ..resampling import resize
from ..restoring import restore
from . import pictures
from .edit import ImagicEdit
from .families import family_of
from .images import as_mask, as_picture, as_region, is_latent_region, resized, to_picture, to_values


def native_size(pipeline: DiffusionPipeline) -> int:
    """The side, in pixels, of the square pictures that the network was made for."""
    side = getattr(pipeline, "default_sample_size", None) or family_of(pipeline).network.config.sample_size
    return side * pipeline.vae_scale_factor


def fitted(
    pipeline: DiffusionPipeline, image: Image.Image | np.ndarray | Tensor, size: int | None = None
) -> Image.Image:
    """The photo in its own shape, with about the area of a square of `size` pixels a side.

    Each side is a multiple of what the network takes, so the shape is the photo's to within half of that.

    Args:
        image: as `tune` takes it.
        size: default: `native_size`.

    Raises:
        ValueError: the size is none that can be drawn, or the image none.
    """
    unit = pipeline.vae_scale_factor * family_of(pipeline).multiple
    size = native_size(pipeline) if size is None else checks.integer("size", size, unit, 8192)
    photo = as_picture("image", image)
    return resized(photo, *part_size(*photo.size, size, unit))


def restored(
    edit: ImagicEdit,
    image: Image.Image | np.ndarray | Tensor,
    edited: Image.Image | np.ndarray | Tensor,
    mask_image: Image.Image | np.ndarray | Tensor,
) -> Image.Image:
    """The photo at its full size with the edit in it; where nothing changed, each pixel is the photo's own.

    Args:
        image: the photo that `fitted` made smaller.
        edited: what `edit.sample` drew of it.
        mask_image: where the photo may change: what `edit.sample` was given, or what `edit.region` gives. A picture is
            taken at the photo's size, as sharp as it is.

    Raises:
        ValueError: one of them is no picture.
    """
    photo, after = (to_values(as_picture(name, one)) for name, one in (("image", image), ("edited", edited)))
    # What the autoencoder loses of the photo is no change.
    before = to_values(pictures.decode(edit.pipeline, edit.photo.to(edit.pipeline._execution_device)))
    if is_latent_region(mask_image, edit.photo):
        found = as_region("mask_image", mask_image, edit.photo).cpu().reshape(edit.photo.shape[-2:])
        region = {"part_region": without_squares(found, *before.shape[:2], reach=0)}
    else:
        painted = to_values(as_mask("mask_image", mask_image))
        region = {"region": resize(painted[..., None], *photo.shape[:2])[..., 0].clamp(0, 1)}
    whole = Box(0, 0, photo.shape[1], photo.shape[0])
    return to_picture(restore(photo, whole, after, before=before, align=False, **region).picture)
