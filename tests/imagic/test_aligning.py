"""Shift and zoom of an editor are found to a fraction of a pixel, through its noise, its light and the edit itself."""

import pytest
import torch
from skimage import data

from imagic.aligning import aligned, covered
from imagic.resampling import Axis, resample, resize


def photo(side: int = 200) -> torch.Tensor:
    return resize(torch.from_numpy(data.astronaut() / 255).float(), side, side).clamp(0, 1)


def edited(picture: torch.Tensor) -> torch.Tensor:
    """With an object of its own, another light, and noise."""
    other = picture.clone()
    other[60:150, 60:140] = torch.rand(90, 80, 3, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(2))
    return (other * 0.9 + 0.03 + 0.02 * noise).clamp(0, 1)


def moved(picture: torch.Tensor, edges: tuple) -> torch.Tensor:
    """An editor's picture, whose edges lie so many shares of a side off the photo's: top, bottom, left, right."""
    top, bottom, left, right = edges
    height, width = picture.shape[:2]
    return resample(picture, Axis(top * height, 1 + bottom - top, height), Axis(left * width, 1 + right - left, width))


@pytest.mark.parametrize(
    "edges", [(0.01, 0.01, -0.015, -0.015), (0.02, -0.03, 0.02, -0.02), (-0.02, 0.03, 0, 0), (0.0, 0.06, 0.0, 0.0)]
)
def test_shift_and_zoom_are_undone(edges):
    before = photo()
    after, axes = aligned(moved(edited(before), edges), before)
    # Where the editor read v, the photo has top + v (1 + bottom - top); here is the way back.
    for axis, (first, last) in zip(axes, (edges[:2], edges[2:]), strict=True):
        scale = 1 + last - first
        ends = axis.start / 200, axis.start / 200 + axis.step
        assert ends == pytest.approx((-first / scale, (1 - first) / scale), abs=0.2 / 200)
    inside = covered(axes, 200, 200) > 0
    inside[55:155, 55:145] = False
    inside[:12] = inside[-12:] = inside[:, :12] = inside[:, -12:] = False
    off = (after - edited(before)).abs().mean(-1)[inside].mean()
    assert off < 0.025, "but for the noise, the same"


def test_what_lies_in_place_is_not_touched():
    before = photo()
    after = edited(before)
    found, axes = aligned(after, before)
    assert found is after
    assert axes == (Axis(0, 1, 200), Axis(0, 1, 200))
    assert covered(axes, 200, 200).all()


def test_another_picture_is_not_bent_into_this_one():
    other = resize(torch.from_numpy(data.chelsea() / 255).float(), 200, 200)
    found, _ = aligned(other, photo())
    assert found is other
