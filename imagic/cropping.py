"""The part of a photo that a model draws: the whole frame, or the surroundings of a region, at the model's size."""

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from .resampling import Axis, resample

SLIMMEST = 2.0  # how many times as long as wide a crop around a region may be, where the photo has room


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int


def part_size(width: float, height: float, size: int, multiple: int) -> tuple[int, int]:
    """Width and height of about `size` x `size` pixels in the shape of a photo.

    Each is a multiple of `multiple`. Of the sizes around the ideal one it is that of the nearest shape.
    """
    ideal = (size * math.sqrt(width / height), size * math.sqrt(height / width))
    sides = [{max(1, around(side / multiple)) * multiple for around in (math.floor, math.ceil)} for side in ideal]

    def strain(candidate: tuple[int, int]) -> tuple[float, float]:
        wide, high = candidate
        area = abs(math.log(wide * high / size**2))
        return abs(math.log(wide / high * height / width)) + area / 4, area

    return min(sorted(product(*sides)), key=strain)


def crop_box(region: Tensor, size: int, multiple: int, context: float) -> tuple[Box, tuple[int, int]]:
    """The surroundings of a region and the size (width, height) at which to draw them.

    They have at least `size` x `size` pixels as far as the photo has them: then they are drawn pixel for pixel. What is
    larger is scaled down, what would be smaller takes in more of the photo.

    Args:
        region: [H, W], of the photo's size, not all zero.
        context: the least width and height, in those of the region.
    """
    height, width = region.shape
    (top, bottom), (left, right) = (_ends(region.amax(axis)) for axis in (1, 0))
    wide, high = min((right - left) * context, width), min((bottom - top) * context, height)
    wide, high = max(wide, high / SLIMMEST), max(high, wide / SLIMMEST)
    grow = max(1.0, size / math.sqrt(wide * high))
    wide, high = min(wide * grow, width), min(high * grow, height)
    # Where one side meets the photo's, the other makes up for it.
    wide, high = min(max(wide, size**2 / high), width), min(max(high, size**2 / wide), height)
    part = part_size(wide, high, size, multiple)
    fits = right - left <= part[0] <= width and bottom - top <= part[1] <= height
    if fits and wide * high <= size**2 * 1.0001:
        wide, high = part
    else:
        # The shape of what is drawn, so that a circle stays one.
        wide, high = min(max(wide, high * part[0] / part[1]), width), min(max(high, wide * part[1] / part[0]), height)
    wide, high = round(wide), round(high)
    across, down = (left + right - wide) // 2, (top + bottom - high) // 2
    return Box(min(max(across, 0), width - wide), min(max(down, 0), height - high), wide, high), part


def _ends(line: Tensor) -> tuple[int, int]:
    """Of what is above zero in a line: the first, and the one behind the last."""
    found = torch.nonzero(line).flatten()
    return int(found[0]), int(found[-1]) + 1


def cut_out(photo: Tensor, box: Box, width: int, height: int) -> Tensor:
    """A box of a photo [H, W, C] at another size, [height, width, C], 0..1, float32."""
    rows, columns = Axis.onto(height, box.height, box.top), Axis.onto(width, box.width, box.left)
    return resample(photo, rows, columns).clamp(0, 1)
