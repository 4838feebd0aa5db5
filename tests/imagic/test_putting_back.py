"""The change goes into the photo, the rest of it stays to the bit, and what is only dyed keeps its weave."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from imagic import putting_back
from imagic.cropping import Box, cut_out
from imagic.part_region import part_seam
from imagic.putting_back import change_between, put_back
from imagic.resampling import resize
from imagic.restoring import restore
from imagic.seam import FLOOR, feathered, floored

RED, BLUE = torch.tensor([0.9, 0.25, 0.2]), torch.tensor([0.2, 0.3, 0.9])


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return -10 * torch.log10((one - other).square().mean()).item()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def photo(name: str, height: int = 320, width: int = 400) -> torch.Tensor:
    return resize(torch.from_numpy(getattr(data, name)() / 255).float(), height, width).clamp(0, 1)


def drawn_small(picture: torch.Tensor, times: float) -> torch.Tensor:
    height, width = picture.shape[:2]
    return cut_out(picture, Box(0, 0, width, height), round(width / times), round(height / times))


def edit(full: torch.Tensor, edited: torch.Tensor, times: float = 4, **changes) -> torch.Tensor:
    """An edit drawn at full size, put back from a small copy of it."""
    box = Box(0, 0, full.shape[1], full.shape[0])
    settings = {"align": False, "threshold": 0, "feather": 0} | changes
    return restore(full, box, drawn_small(edited, times), **settings).picture


def test_a_red_coat_made_blue_keeps_its_weave():
    weave = noise(256, 256, 1) * 0.5 + 0.5
    red, blue = weave * RED, weave * BLUE
    enlarged = resize(drawn_small(blue, 4), 256, 256).clamp(0, 1)
    assert psnr(edit(red, blue), blue) > psnr(enlarged, blue) + 10
    # Of the red thread nothing is left in the blue one.
    contrast = edit(red, blue).std((0, 1)) / blue.std((0, 1))
    torch.testing.assert_close(contrast, torch.ones(3), rtol=0, atol=0.15)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize(("kind", "gain"), [("night", 4), ("dyed", 2), ("object", -1.5), ("plain", -1.5)])
def test_it_is_nearer_to_the_edit_drawn_at_full_size_than_an_enlargement(name, kind, gain):
    full = photo(name)
    inside = torch.zeros(320, 400, 1)
    inside[80:240, 100:300] = 1
    edits = {
        "night": full * torch.tensor([0.35, 0.4, 0.6]),
        "dyed": torch.lerp(full, full.mean(-1, keepdim=True) * torch.tensor([0.3, 0.5, 1.0]), inside),
        "object": torch.lerp(full, photo("chelsea" if name == "coffee" else "coffee"), inside),
        "plain": torch.lerp(full, RED.expand_as(full), inside),
    }
    wanted = edits[kind]
    enlarged = resize(drawn_small(wanted, 4), 320, 400).clamp(0, 1)
    where = slice(80, 240), slice(100, 300)
    assert psnr(edit(full, wanted)[where], wanted[where]) > psnr(enlarged[where], wanted[where]) + gain


def test_no_edit_gives_the_photo():
    full = photo("coffee")
    assert torch.equal(edit(full, full, threshold=3.0), full)
    torch.testing.assert_close(edit(full, full), full, rtol=0, atol=1e-5)


def test_what_the_autoencoder_loses_is_no_change():
    full = photo("chelsea")
    lossy = resize(drawn_small(full, 8), 80, 100).clamp(0, 1)
    box = Box(0, 0, 400, 320)
    found = restore(full, box, lossy, before=lossy, align=False, threshold=0, feather=0)
    torch.testing.assert_close(found.picture, full, rtol=0, atol=1e-5)


@given(st.data(), st.sampled_from([torch.float32, torch.float16]))
@settings(deadline=None, max_examples=40)
def test_outside_of_the_region_every_pixel_is_the_photos_own(drawn, dtype):
    height, width = drawn.draw(st.integers(20, 90)), drawn.draw(st.integers(20, 90))
    full = (noise(height, width, 3) * 1.5 - 0.2).to(dtype)  # some darker than black, some brighter than white
    left, top = drawn.draw(st.integers(0, width - 8)), drawn.draw(st.integers(0, height - 8))
    box = Box(left, top, drawn.draw(st.integers(8, width - left)), drawn.draw(st.integers(8, height - top)))
    after = noise(drawn.draw(st.integers(8, 40)), drawn.draw(st.integers(8, 40)), 3, seed=1)
    region = (noise(height, width, seed=2) > drawn.draw(st.floats(0, 1))).float()
    if drawn.draw(st.booleans()):  # soft, and with the leftovers of 8 bits
        region = region * noise(height, width, seed=3) + 0.004
    feather = drawn.draw(st.floats(0, 0.1))
    found = restore(full, box, after, region=region, align=False, threshold=0, feather=feather)
    kept = (region <= FLOOR) | (found.changed == 0)
    outside = torch.ones(height, width, dtype=torch.bool)
    outside[box.top : box.top + box.height, box.left : box.left + box.width] = False
    assert found.picture.dtype == dtype
    assert torch.equal(found.picture[kept | outside], full[kept | outside])
    assert not found.changed[(region <= FLOOR) | outside].any()


@given(st.integers(5, 20), st.integers(5, 20), st.integers(2, 6), st.floats(0, 3))
@settings(deadline=None, max_examples=40)
def test_a_region_of_the_parts_size_does_not_leak_however_much_it_is_enlarged(rows, columns, times, feather):
    region = (noise(rows, columns, seed=rows) > 0.3).float()
    full = noise(rows * times, columns * times, 3)
    box, after = Box(0, 0, columns * times, rows * times), noise(rows, columns, 3, seed=1)
    found = restore(full, box, after, part_region=part_seam(region, feather), align=False, threshold=0, feather=0)
    blocks = region.repeat_interleave(times, 0).repeat_interleave(times, 1)
    assert torch.equal(found.picture[blocks == 0], full[blocks == 0])


def test_tiles_leave_no_trace(monkeypatch):
    full, after = photo("astronaut"), 1 - drawn_small(photo("astronaut"), 3)
    region = torch.zeros(320, 400)
    region[40:300, 30:330] = 1
    region[305:315, 345:355] = 1  # a small one has a seam of its own
    box = Box(10, 10, 380, 300)
    small = cut_out(full, box, after.shape[1], after.shape[0])
    results = []
    for side in (512, 37):
        monkeypatch.setattr(putting_back, "TILE", side)
        change = change_between(small, small, after)
        results.append(put_back(full, box, small, change, torch.ones(after.shape[:2]), region, 20.0))
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=1e-5)


def test_a_seam_lies_inside_of_its_region_and_not_at_the_pictures_edge():
    mask = torch.zeros(60, 80)
    mask[20:, :40] = 1
    seam = feathered(mask, 10)
    assert (seam <= mask).all()
    torch.testing.assert_close(seam[45:, :25], torch.ones(15, 25))
    assert seam[20, 10] < 0.11
    # It rises evenly from the edge inwards.
    torch.testing.assert_close(seam[20:30, 10].diff(), torch.full((9,), 1 / 10), rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", [10, 15, 25, 4])
def test_a_small_region_reaches_its_full_weight(side):
    """In a photo of 750 x 1000 pixels the seam is 7.5 wide, which is half of 15; a large region keeps it whole."""
    mask = torch.zeros(750, 1000)
    mask[100 : 100 + side, 200 : 200 + side] = 1
    mask[400:, 300:600] = 1
    seam = feathered(mask, 7.5)
    assert seam[100 + side // 2, 200 + side // 2] == 1
    assert seam[:300].sum() > 0.7 * side**2
    assert not seam[mask == 0].any()
    large = feathered(torch.where(torch.arange(750)[:, None] < 300, 0, mask), 7.5)
    assert torch.equal(seam[300:], large[300:])
    photo, after = noise(750, 1000, 3), noise(75, 100, 3, seed=1)
    found = restore(photo, Box(0, 0, 1000, 750), after, region=mask, align=False, threshold=0)
    torch.testing.assert_close(found.changed, seam, rtol=0, atol=1e-5)
    assert torch.equal(found.picture[mask == 0], photo[mask == 0])


def test_leftovers_of_8_bits_are_cut_and_white_stays_white():
    assert floored(torch.tensor([0.0, 1 / 255, 3 / 255, FLOOR, 1.0])).tolist() == [0, 0, 0, 0, 1]
