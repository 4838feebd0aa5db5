"""How large a change of a latent is around each position."""

import torch
from torch import Tensor

from .seam import blurred

# Of the shorter side, over which a change is averaged: less than what photos are edited in, a hat or a face, more than
# the noise of single positions. At least two positions, for a single one averages nothing.
WINDOW = 1 / 16


def local_size(change: Tensor) -> Tensor:
    """The root of the mean square of a change [N, C, ..., H, W] around each position, [N, 1, ..., H, W]."""
    square = change.square().mean(1, keepdim=True)
    return blurred(square, max(2.0, WINDOW * min(square.shape[-2:])) / 2).sqrt()


def relative_size(change: Tensor, unexplained: Tensor) -> Tensor:
    """How large a change is around each position, in sizes of what the model cannot explain of the photo.

    It means the same in every latent, and at every noise level, where both grow with the noise.

    Args:
        change: between the predictions under two texts, [N, C, ..., H, W], each at a noise level of its own.
        unexplained: the photo less the prediction under its own text, of the same shape.

    Returns:
        [N, 1, ..., H, W].
    """
    size = unexplained.flatten(1).square().mean(1).sqrt().clamp_min(torch.finfo(change.dtype).tiny)
    return local_size(change) / size.view(-1, *[1] * (change.ndim - 1))
