"""A MASK as a plane of the photo's size or the part's."""

import torch
from torch import Tensor

from ..imagic.resampling import resize
from ..imagic.seam import FLOOR

SAME_SHAPE = 0.02  # how far the shapes of a mask and of what it is for may lie apart, as a share


def plane(region: Tensor | None) -> Tensor | None:
    """A MASK as [H, W] in 0..1, without the leftovers of 8 bits.

    None without one or with a blank one, which Load Image gives if none is painted.
    """
    if region is None or not (region > FLOOR).any():
        return None
    mask = region.reshape(region.shape[-2:]).float().clamp(0, 1)
    return torch.where(mask > FLOOR, mask, 0)


def of_photo(region: Tensor | None, height: int, width: int) -> Tensor | None:
    """A MASK at the photo's size, [H, W], 0..1, or None.

    Raises:
        ValueError: it is of another shape than the photo.
    """
    mask = plane(region)
    if mask is None or mask.shape == (height, width):
        return mask
    if not same_shape(mask, height, width):
        raise ValueError(
            f"The region is {mask.shape[1]} x {mask.shape[0]} pixels and the photo {width} x {height}, which is "
            "another shape: paint the region on this photo."
        )
    return resize(mask[..., None], height, width)[..., 0].clamp(0, 1)


def same_shape(mask: Tensor, height: int, width: int) -> bool:
    """Whether a mask [H, W] has the shape of such a picture, whatever its size."""
    return abs(mask.shape[0] / mask.shape[1] * width / height - 1) < SAME_SHAPE
