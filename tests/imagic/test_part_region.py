"""The model's region leaves no straight cuts in a large photo; what was painted stays as sharp as it is."""

import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch.nn import functional

from demo import load
from imagic.cropping import Box
from imagic.diffusers import fitted, instant, restored
from imagic.part_region import positions, without_squares
from imagic.region import region_of
from imagic.restoring import restore
from imagic.seam import FLOOR

ROWS, COLUMNS, PIXELS, TIMES = 12, 16, 8, 12  # of a latent; of the part to a position; of the photo to one of the part


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def found() -> torch.Tensor:
    """A region as a model finds one: soft, and anywhere."""
    change = noise(1, 4, ROWS, COLUMNS)
    change[..., 3:9, 4:11] += 2
    return region_of(change, 0.4)[0, 0]


def squares(region: torch.Tensor, side: int = PIXELS) -> torch.Tensor:
    return region.repeat_interleave(side, 0).repeat_interleave(side, 1)


def steepest(plane: torch.Tensor) -> float:
    """The largest step between neighbouring pixels."""
    return max(plane.diff(dim=axis).abs().max().item() for axis in (0, 1))


@pytest.mark.parametrize("given", [found(), squares(found()), squares(found(), 3)])
def test_a_region_of_a_few_positions_has_no_cut_in_a_large_photo(given):
    height, width = ROWS * PIXELS, COLUMNS * PIXELS
    full, after = noise(height * TIMES, width * TIMES, 3), noise(height, width, 3, seed=1)
    region = without_squares(given, height, width, 1.0)
    box = Box(0, 0, width * TIMES, height * TIMES)
    result = restore(full, box, after, part_region=region, align=False, threshold=0)
    # From one position to the next it goes evenly. A cut would be as large as their difference in a pixel or a few.
    assert steepest(result.changed) < 1.5 * steepest(found()) / (PIXELS * TIMES)
    smooth = functional.interpolate(found()[None, None], full.shape[:2], mode="bilinear")[0, 0]
    torch.testing.assert_close(result.changed, smooth, rtol=0, atol=0.03)
    outside = functional.max_pool2d(smooth[None, None], 2 * TIMES + 1, 1, TIMES)[0, 0] <= FLOOR
    assert 0.1 < outside.float().mean() < 0.9
    assert torch.equal(result.picture[outside], full[outside])


@pytest.mark.parametrize("side", [1, 2, 8])
def test_squares_are_told_from_what_was_painted(side):
    assert torch.equal(positions(squares(found(), side)), found())
    brush = functional.avg_pool2d((noise(60, 80) > 0.5).float()[None], 5, 1, 2)[0]
    assert torch.equal(positions(brush), brush)
    rectangle = torch.zeros(60, 80)
    rectangle[20:40, 20:60] = 1
    assert torch.equal(positions(rectangle), rectangle)
    torch.testing.assert_close(without_squares(rectangle, 60, 80, 0)[21:39, 21:59], torch.ones(18, 38))
    assert torch.equal(positions(rectangle * 0.9), rectangle * 0.9)
    # No model has positions of 64 pixels.
    assert torch.equal(positions(squares(found(), 64)), squares(found(), 64))


@pytest.fixture(scope="module")
def pipeline() -> DiffusionPipeline:
    return load.pipeline()


def test_what_was_painted_on_the_photo_is_as_sharp_in_the_edit(pipeline):
    """A picture of the photo's size goes into it as painted, the model's own region smooth."""
    pixels = (noise(400, 480, 3) * 255).byte().numpy()
    photo, painted = Image.fromarray(pixels), Image.new("L", (480, 400))
    painted.paste(255, (203, 101, 331, 307))
    edit = instant(pipeline, fitted(pipeline, photo), "a dog")
    edited = Image.new("RGB", fitted(pipeline, photo).size, "magenta")
    result = torch.tensor(bytearray(restored(edit, photo, edited, painted).tobytes())).view(400, 480, 3)
    changed = (result != torch.from_numpy(pixels)).any(-1)
    assert changed[104:304, 206:328].float().mean() > 0.99
    changed[101:307, 203:331] = False
    assert not changed.any()
