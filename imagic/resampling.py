"""Pictures at another size, in part, or moved by a fraction of a pixel: one cubic filter, an axis at a time.

torch resizes whole pictures onto whole pictures. A photo of 48 megapixels is worked on in tiles, and an edit may lie a
third of a pixel beside it; so here the samples may lie anywhere.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

REACH = 2  # of the cubic kernel, in samples of the coarser of both grids
BLOCK = 16  # samples at a time: of each matrix most is zero, and more of a larger one


@dataclass(frozen=True)
class Axis:
    """Where samples lie along an axis: the first begins at `start`, each is `step` wide, in pixels of what is read."""

    start: float
    step: float
    count: int

    @classmethod
    def onto(cls, count: int, length: float, start: float = 0) -> "Axis":
        """So many samples that share out a length."""
        return cls(start, length / count, count)

    def part(self, first: int, count: int) -> "Axis":
        """Some of the samples."""
        return Axis(self.start + first * self.step, self.step, count)

    def centres(self) -> Tensor:
        """Of the samples, where 0 is the middle of the first pixel that is read. [count], float64."""
        return self.start + (torch.arange(self.count, dtype=torch.float64) + 0.5) * self.step - 0.5


def resample(picture: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """A picture [H, W, C] at other places, [rows, columns, C], float32.

    The filter is the cubic one of Keys (1981) with a = -0.5, widened where samples lie further apart than pixels. What
    lies outside of the picture counts as its nearest edge. It is what Pillow's BICUBIC computes, without rounding.
    """
    if rows.count <= picture.shape[0]:
        return _columns(_rows(picture, rows), columns)
    return _rows(_columns(picture, columns), rows)


def resize(picture: Tensor, height: int, width: int) -> Tensor:
    """The whole picture [H, W, C] at another size, [height, width, C], float32."""
    return resample(picture, Axis.onto(height, picture.shape[0]), Axis.onto(width, picture.shape[1]))


def _columns(picture: Tensor, columns: Axis) -> Tensor:
    return _rows(picture.transpose(0, 1), columns).transpose(0, 1)


def _rows(picture: Tensor, rows: Axis) -> Tensor:
    length, rest = picture.shape[0], picture.shape[1:]
    if (
        rows == Axis(rows.start, 1, rows.count)
        and rows.start == int(rows.start)
        and 0 <= rows.start <= length - rows.count
    ):
        return picture[int(rows.start) : int(rows.start) + rows.count].float()
    result = picture.new_empty((rows.count, rest.numel()), dtype=torch.float32)
    for first in range(0, rows.count, BLOCK):
        block = rows.part(first, min(BLOCK, rows.count - first))
        low, weights = _weights(block, length)
        band = picture[low : low + weights.shape[1]].reshape(weights.shape[1], -1).float()
        torch.matmul(weights.to(band), band, out=result[first : first + block.count])
    return result.view(-1, *rest)


def _weights(samples: Axis, length: int) -> tuple[int, Tensor]:
    """The first pixel that counts, and the weights of it and those after it, [count, pixels]."""
    width = max(1.0, samples.step)
    centres = samples.centres()
    low = math.floor(centres[0].item() - REACH * width)
    high = math.ceil(centres[-1].item() + REACH * width)
    pixels = torch.arange(low, high + 1)
    weights = _cubic((pixels - centres[:, None]) / width)
    weights /= weights.sum(1, keepdim=True)
    # What lies beyond an edge falls to the pixel there.
    inside = pixels.clamp(0, length - 1)
    first, last = inside[0].item(), inside[-1].item()
    folded = weights.new_zeros(samples.count, last - first + 1)
    return first, folded.index_add_(1, inside - first, weights)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' kernel with a = -0.5: it draws parabolas exactly and overshoots edges little."""
    x = distance.abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))
