"""The seam of a region: it fades inwards, so that outside of the region nothing changes at all."""

import math

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

# What is let through less than this is not let through. Masks that were saved in 8 bits hold such leftovers all over.
FLOOR = 1 / 64
MIDDLE = 4  # how many times as far as its seam is wide a patch goes from its edge to its middle, at least


def floored(mask: Tensor) -> Tensor:
    """A mask, 0..1, without its faintest part: exactly 0 there, and as before where it is 1."""
    return ((mask - FLOOR) / (1 - FLOOR)).clamp(0, 1)


def feathered(mask: Tensor, width: float) -> Tensor:
    """A mask [H, W], 0..1, that fades to nothing within `width` pixels inside of its edge.

    It is nowhere more than `mask`, and 0 where that is. What touches the picture's edge does not fade there. Where a
    patch is small its seam is narrower, so that the middle stays.
    """
    return faded(mask, seam_widths(mask, width))


def seam_widths(mask: Tensor, width: float) -> Tensor:
    """How wide the seam is at each pixel of a mask [H, W], in pixels.

    It is `width`, halved for each patch until it is at most a quarter of the way from the edge to the middle.
    """
    inside = (floored(mask) > 0).numpy(force=True)
    if width == 0 or inside.all():
        return torch.full_like(mask, width)
    patches, count = ndimage.label(inside, np.ones((3, 3)))
    to_middle = np.zeros(count + 1, np.int32)
    np.maximum.at(to_middle, patches.ravel(), ndimage.distance_transform_cdt(inside, "chessboard").ravel())
    halvings = np.ceil(np.log2(MIDDLE * width / to_middle.clip(1))).clip(0)
    return torch.from_numpy((width / 2**halvings).astype(np.float32)[patches]).to(mask)


def faded(mask: Tensor, widths: Tensor) -> Tensor:
    """A mask [H, W] with a seam of these widths [H, W], or a piece of it with those."""
    mask = floored(mask)
    inside = (mask > 0).to(mask)
    share = torch.zeros_like(mask)
    for width in widths[mask > 0].unique():
        share = torch.where(widths == width, (2 * blurred(inside, width.item()) - 1).clamp(0, 1), share)
    return mask * share


def blurred(planes: Tensor, reach: float) -> Tensor:
    """The mean over a square of `reach` pixels to each side, a fraction of one counting in part. [..., H, W]."""
    # The square's side is seldom a whole odd number of pixels: those at its edge count by the part that is inside.
    whole = math.ceil(reach)
    weights = (reach + 0.5 - torch.arange(-whole, whole + 1).abs()).clamp(0, 1).to(planes)
    weights /= weights.sum()
    # One dimension after the other, for the square is large where a position is a pixel.
    blurry = planes.reshape(-1, 1, *planes.shape[-2:])
    for padding, window in (
        ((0, 0, whole, whole), weights.view(1, 1, -1, 1)),
        ((whole, whole, 0, 0), weights.view(1, 1, 1, -1)),
    ):
        blurry = functional.conv2d(functional.pad(blurry, padding, mode="replicate"), window)
    return blurry.view_as(planes)
