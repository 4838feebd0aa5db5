"""A photo of any size at the size that a model draws."""

import math

from diffusers import DiffusionPipeline
from PIL import Image

from .. import checks
from .families import family_of


def native_size(pipeline: DiffusionPipeline) -> int:
    """The side, in pixels, of the square pictures that the network was made for."""
    side = getattr(pipeline, "default_sample_size", None) or family_of(pipeline).network.config.sample_size
    return side * pipeline.vae_scale_factor


def fitted(pipeline: DiffusionPipeline, photo: Image.Image, size: int | None = None) -> Image.Image:
    """The photo in its own shape, with about the area of a square of `size` pixels a side.

    Each side is a multiple of what the network takes, so the shape is the photo's to within half of that.

    Args:
        size: default: `native_size`.

    Raises:
        ValueError: the size is none that can be drawn.
    """
    unit = pipeline.vae_scale_factor * family_of(pipeline).multiple
    size = native_size(pipeline) if size is None else checks.integer("size", size, unit, 8192)
    scale = size / math.sqrt(photo.width * photo.height)
    sides = [max(1, round(side * scale / unit)) * unit for side in photo.size]
    return photo if list(photo.size) == sides else photo.resize(sides, Image.Resampling.LANCZOS)
