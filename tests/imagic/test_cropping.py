"""The part that a model draws: about its number of pixels, the photo's shape, never cut short."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imagic.cropping import Box, crop_box, cut_out, part_size

MULTIPLES = st.sampled_from([8, 16, 32, 64])


@given(st.integers(200, 9000), st.integers(200, 9000), st.sampled_from([512, 1024]), MULTIPLES)
@settings(deadline=None)
def test_the_whole_frame_keeps_its_shape_and_the_models_number_of_pixels(width, height, size, multiple):
    wide, high = part_size(width, height, size, multiple)
    assert wide % multiple == high % multiple == 0
    # Rounding moves each side by less than one multiple.
    ideal = size * math.sqrt(width / height), size * math.sqrt(height / width)
    assert abs(wide - ideal[0]) < multiple
    assert abs(high - ideal[1]) < multiple


@pytest.mark.parametrize(
    ("photo", "size", "multiple", "part"),
    [
        ((4032, 3024), 512, 16, (592, 448)),
        ((3024, 4032), 512, 16, (448, 592)),
        ((8064, 6048), 1024, 16, (1168, 880)),
        ((12000, 3000), 512, 64, (1024, 256)),
        ((40000, 400), 512, 64, (5120, 64)),
        ((128, 128), 128, 16, (128, 128)),
        ((640, 480), 512, 8, (584, 440)),
    ],
)
def test_known_photos(photo, size, multiple, part):
    assert part_size(*photo, size, multiple) == part


@given(st.data(), st.sampled_from([64, 128]), st.sampled_from([8, 16]), st.floats(1, 3))
@settings(deadline=None, max_examples=150)
def test_a_crop_holds_its_region_and_lies_within_the_photo(data, size, multiple, context):
    height, width = data.draw(st.integers(40, 500)), data.draw(st.integers(40, 500))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    region = torch.zeros(height, width)
    region[top:bottom, left:right] = 0.5
    box, (wide, high) = crop_box(region, size, multiple, context)
    assert 0 <= box.left <= left
    assert right <= box.left + box.width <= width
    assert 0 <= box.top <= top
    assert bottom <= box.top + box.height <= height
    assert wide % multiple == high % multiple == 0
    assert box.width >= min(width, int((right - left) * context)) or (box.width, box.height) == (wide, high)


def test_a_small_region_is_drawn_pixel_for_pixel():
    photo, region = torch.rand(600, 800, 3), torch.zeros(600, 800)
    region[300:320, 400:430] = 1
    box, (wide, high) = crop_box(region, 256, 16, 1.5)
    assert (box.width, box.height) == (wide, high)
    assert wide * high == pytest.approx(256**2, rel=0.05)
    cut = cut_out(photo, box, wide, high)
    assert torch.equal(cut, photo[box.top : box.top + high, box.left : box.left + wide])


@pytest.mark.parametrize("upright", [False, True])
def test_a_large_region_is_scaled_and_a_circle_stays_one(upright):
    region = torch.zeros(3000, 4000)
    region[500:1900, 1000:3000] = 1
    box, (wide, high) = crop_box(region.T if upright else region, 512, 16, 1.5)
    assert max(box.width, box.height) == 3000
    assert box.width / wide == pytest.approx(box.height / high, rel=1e-3)


def test_a_region_of_the_whole_photo_is_the_whole_photo():
    assert crop_box(torch.ones(300, 400), 128, 16, 1.5) == (Box(0, 0, 400, 300), part_size(400, 300, 128, 16))
