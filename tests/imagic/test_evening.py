"""An editor's light is told from an edit's."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from imagic.cropping import Box
from imagic.evening import evened
from imagic.resampling import Axis, resample, resize
from imagic.restoring import restore

DYE = torch.tensor([0.2, 0.6, 0.9])


def photo(name: str) -> torch.Tensor:
    return resize(torch.from_numpy(getattr(data, name)() / 255).float(), 360, 480).clamp(0, 1)


def edited(picture: torch.Tensor) -> torch.Tensor:
    after = picture.clone()
    after[120:240, 160:300] = picture[120:240, 160:300].mean(-1, keepdim=True) * DYE
    return after


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
@pytest.mark.parametrize("light", [(1.02, 1.02, 1.02), (0.97, 1.0, 1.03)])
def test_a_light_of_a_few_percent_is_undone(name, light):
    before = photo(name)
    wanted, seen = edited(before), (edited(before) * torch.tensor(light)).clamp(0, 1)
    after, shown = evened(seen, before)
    clipped = (before * torch.tensor(light) > 1) | (wanted * torch.tensor(light) > 1)
    torch.testing.assert_close(after[~clipped], wanted[~clipped], rtol=0, atol=0.4 / 255)
    # What was clipped is no change either.
    kept = torch.ones(360, 480, dtype=torch.bool)
    kept[120:240, 160:300] = False
    torch.testing.assert_close(after[kept], shown[kept], rtol=0, atol=0.4 / 255)


@pytest.mark.parametrize("edit", [lambda picture: picture, lambda picture: picture * 0.8, lambda picture: 1 - picture])
def test_no_change_and_one_that_is_meant_stay(edit):
    before = photo("coffee")
    after = edit(before)
    assert all(torch.equal(*pair) for pair in zip(evened(after, before), (after, before), strict=True))


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_an_editor_that_moves_zooms_lightens_and_packs_changes_only_what_it_edits(name):
    """As Qwen-Image-Edit or Kontext give a picture back."""
    full = photo(name)
    rows, columns = Axis(5.5, 349 / 320, 320), Axis(-3.0, 466 / 432, 432)
    file = io.BytesIO()
    moved = (resample(edited(full), rows, columns) * 1.02).clamp(0, 1)
    Image.fromarray((moved * 255).round().byte().numpy()).save(file, "JPEG", quality=90, subsampling=0)
    found = restore(full, Box(0, 0, 480, 360), torch.from_numpy(np.asarray(Image.open(file)) / 255).float())
    near = torch.zeros(360, 480, dtype=torch.bool)
    near[106:254, 146:314] = True
    assert (found.picture == full).all(-1)[~near].float().mean() > 0.985
    assert found.changed[124:236, 164:296].mean() > 0.9
