"""The cubic filter, held to Pillow's and to what it must draw exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagic.resampling import Axis, resample, resize

SIDES = st.integers(8, 60)


def noise(height: int, width: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(height, width, channels, generator=torch.Generator().manual_seed(0))


def pillows(picture: torch.Tensor, box: tuple, height: int, width: int) -> torch.Tensor:
    planes = [Image.fromarray(plane.numpy(), mode="F") for plane in picture.unbind(-1)]
    resized = [np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC, box=box)) for plane in planes]
    return torch.from_numpy(np.stack(resized, -1))


@given(SIDES, SIDES, SIDES, SIDES)
@settings(max_examples=30, deadline=None)
def test_it_computes_what_pillow_does_away_from_edges(height, width, rows, columns):
    """At edges Pillow leaves out what is beyond; here the edge goes on, so that a part may hang over."""
    inner = noise(height, width)
    picture = inner[
        torch.arange(-80, height + 80).clamp(0, height - 1)[:, None], torch.arange(-80, width + 80).clamp(0, width - 1)
    ]
    expected = pillows(picture, (80, 80, 80 + width, 80 + height), rows, columns)
    # Pillow's box is cut off at its own edges as well: compare where the filter does not reach them.
    off = [2 + int(2 * count / min(count, size)) for count, size in ((rows, height), (columns, width))]
    found = resize(inner, rows, columns)
    inside = found[off[0] : -off[0], off[1] : -off[1]]
    torch.testing.assert_close(inside, expected[off[0] : -off[0], off[1] : -off[1]], rtol=0, atol=2e-6)


@pytest.mark.parametrize(("start", "step"), [(3.3, 0.4), (2.0, 1.7), (5.0, 1.0), (4.25, 1.0)])
def test_parabolas_between_pixels_are_exact(start, step):
    axis = Axis(start, step, 8)
    line = torch.arange(40, dtype=torch.float64).float().view(-1, 1, 1) / 40
    found = resample(line**2, axis, Axis(0, 1, 1)).flatten()
    at = axis.centres().float() / 40
    wanted = at**2
    if step > 1:  # a wider filter takes the mean of a parabola over more, the same everywhere
        wanted = wanted + (found - wanted).mean()
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-5 if step <= 1 else 2e-3)


@given(SIDES, SIDES, st.floats(-10, 50), st.floats(0.05, 9))
@settings(max_examples=40, deadline=None)
def test_a_plain_colour_stays_what_it_is_wherever_it_is_read(height, count, start, step):
    plain = torch.full((height, 4, 3), 0.7)
    torch.testing.assert_close(
        resample(plain, Axis(start, step, count), Axis(0, 1, 4)), torch.full((count, 4, 3), 0.7), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("count", [30, 300])
def test_tiles_fit_together(count):
    picture, axis = noise(70, 5), Axis.onto(count, 70)
    whole = resample(picture, axis, Axis(0, 1, 5))
    parts = [
        resample(picture, axis.part(first, min(11, count - first)), Axis(0, 1, 5)) for first in range(0, count, 11)
    ]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=2e-6)


def test_whole_pixels_are_copied_to_the_bit_and_what_is_outside_is_the_edge():
    picture = noise(20, 30)
    assert torch.equal(resample(picture, Axis(3, 1, 7), Axis(5, 1, 9)), picture[3:10, 5:14])
    over = resample(picture, Axis(-4, 1, 28), Axis(0, 1, 30))
    torch.testing.assert_close(over[:5], picture[:1].expand(5, -1, -1), rtol=0, atol=1e-6)
    torch.testing.assert_close(over[-5:], picture[-1:].expand(5, -1, -1), rtol=0, atol=1e-6)
