"""A region of a part at the part's size.

A region that a model finds has a value for each position of the latent, which is 8 or 16 pixels of the part wide and
hundreds of a large photo. As squares it would be seen in the photo; so it is drawn smooth. What was painted is sharp.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from .seam import feathered, floored

# Pixels of a part to a side of one position, at most: 8 or 16 as a rule, 32 for Wan 2.2 and 42 for Stable Cascade. What
# is made of larger squares was drawn by somebody.
COARSEST = 42


def positions(region: Tensor) -> Tensor:
    """A part's region [H, W] with one value for each of its squares, if it is soft and made of squares; else as it is.

    One of two values, soft or not, is as likely a rectangle that somebody drew.
    """
    if len(region.unique()) < 3:
        return region
    starts = [torch.nonzero(region.diff(dim=axis).any(1 - axis)).flatten() + 1 for axis in (0, 1)]
    side = math.gcd(*region.shape, *torch.cat(starts).tolist())
    return region[::side, ::side] if side <= COARSEST else region


def without_squares(region: Tensor, height: int, width: int, reach: float) -> Tensor:
    """A region that lies on a part, [height, width] or larger, 0..1, without squares.

    Args:
        region: [h, w], 0..1. Smaller than the part it is drawn smooth: the middle of each of its positions keeps its
            value, and between them it changes evenly. Otherwise it gets a seam.
        reach: width of the seam, in pixels of the part.
    """
    region = positions(region)
    if region.shape[0] < height:
        return functional.interpolate(region[None, None], (height, width), mode="bilinear")[0, 0]
    return part_seam(region, reach * region.shape[0] / height)


def part_seam(region: Tensor, reach: float) -> Tensor:
    """A region of the part's size [h, w] with a seam of `reach` of its pixels inside of it.

    Its outermost pixels are taken away, so that nothing is left outside of it however much it is enlarged.
    """
    region = floored(region)
    least = -functional.max_pool2d(functional.pad(-region[None, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0, 0]
    return feathered(least, reach)
