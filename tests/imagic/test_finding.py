"""What an edit changes is told from what an editor does to every picture."""

import pytest
import torch
from skimage import data

from imagic.finding import change_found
from imagic.resampling import resize


def photo() -> torch.Tensor:
    return resize(torch.from_numpy(data.coffee() / 255).float(), 200, 300).clamp(0, 1)


def lossy(picture: torch.Tensor, amount: float) -> torch.Tensor:
    """As an autoencoder leaves it: some detail lost, some noise, more of both where there is detail."""
    soft = resize(resize(picture, 100, 150), 200, 300)
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    return (picture + amount * (soft - picture) + amount * noise * ((picture - soft).abs() + 0.01)).clamp(0, 1)


@pytest.mark.parametrize("amount", [0, 0.2, 0.6])
@pytest.mark.parametrize("drift", [0, 0.01])
def test_an_object_is_found_and_nothing_else(amount, drift):
    before = photo()
    after = lossy(before, amount) + drift
    after[60:120, 100:180] = torch.tensor([0.2, 0.6, 0.3])
    found = change_found(before, after, 3.0)
    assert (found[62:118, 102:178] > 0.999).float().mean() > 0.99
    around = found.clone()
    around[48:132, 88:192] = 0
    assert (around > 0).float().mean() < 0.02


@pytest.mark.parametrize("amount", [0, 0.2, 0.6])
def test_an_editor_that_changes_nothing_leaves_nothing_to_put_in(amount):
    assert (change_found(photo(), lossy(photo(), amount), 3.0) > 0).float().mean() < 0.02


def test_an_edit_of_the_whole_picture_is_put_in_whole():
    assert (change_found(photo(), lossy(photo() * torch.tensor([0.3, 0.35, 0.6]), 0.3), 3.0) == 1).all()
    assert (change_found(photo(), (photo() + 0.15).clamp(0, 1), 3.0) == 1).all()


def test_the_noise_is_read_where_nothing_may_change():
    """An edit of most of the picture is not taken for noise: where it is faint its edge would be seen."""
    before, region = photo(), torch.zeros(200, 300)
    region[:, 30:] = 1
    after = lossy(before, 0.1)
    after[:, 30:] += 0.04
    after[:, 30:180] += 0.3
    assert (change_found(before, after, 3.0, region)[:, 30:] == 1).all()


@pytest.mark.parametrize("grey", [0.0, 0.3, 1.0])
def test_an_object_is_found_on_a_photo_of_one_colour(grey):
    before = torch.full((256, 256, 3), grey)
    after = before.clone()
    after[100:150, 100:150] = torch.tensor([0.9, 0.1, 0.1])
    found = change_found(before, after, 3.0)
    assert (found[100:150, 100:150] == 1).all()
    found[92:158, 92:158] = 0
    assert not found.any()
    assert not change_found(before, before, 3.0).any()


def test_no_threshold_puts_in_everything():
    assert (change_found(photo(), photo(), 0) == 1).all()


def test_a_higher_threshold_lets_less_through():
    after = photo() + 0.3 * torch.linspace(0, 1, 300)[None, :, None] ** 4
    shares = [change_found(photo(), after, threshold).mean() for threshold in (1.0, 3.0, 9.0)]
    assert shares[0] > shares[1] > shares[2] > 0
