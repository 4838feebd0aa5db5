"""The seam of a region: it fades inwards, so that outside of the region nothing changes at all."""

import math

import torch
from torch import Tensor
from torch.nn import functional

# What is let through less than this is not let through. Masks that were saved in 8 bits hold such leftovers all over.
FLOOR = 1 / 64


def floored(mask: Tensor) -> Tensor:
    """A mask, 0..1, without its faintest part: exactly 0 there, and as before where it is 1."""
    return ((mask - FLOOR) / (1 - FLOOR)).clamp(0, 1)


def feathered(mask: Tensor, width: float) -> Tensor:
    """A mask [H, W], 0..1, that fades to nothing within `width` pixels inside of its edge.

    It is nowhere more than `mask`, and 0 where that is. What touches the picture's edge does not fade there.
    """
    mask = floored(mask)
    inside = (mask > 0).to(mask)
    return mask * (2 * blurred(inside, width) - 1).clamp(0, 1) if width > 0 else mask


def blurred(plane: Tensor, reach: float) -> Tensor:
    """The mean over a square of `reach` pixels to each side, a fraction of one counting in part. [H, W]."""
    whole = math.ceil(reach)
    weights = (reach + 0.5 - torch.arange(-whole, whole + 1).abs()).clamp(0, 1).to(plane)
    weights /= weights.sum()
    picture = plane[None, None]
    for padding, window in (
        ((0, 0, whole, whole), weights.view(1, 1, -1, 1)),
        ((whole, whole, 0, 0), weights.view(1, 1, 1, -1)),
    ):
        picture = functional.conv2d(functional.pad(picture, padding, mode="replicate"), window)
    return picture[0, 0]
