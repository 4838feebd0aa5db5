"""The region an edit may change, known in closed form where a model's prediction is the mean of its text."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from imagic import objective
from imagic.change import local_size, relative_size
from imagic.levels import standard_levels
from imagic.region import (
    FORWARD_EQUIVALENTS,
    NOISIEST_LOCAL,
    edit_region,
    is_whole,
    region_of,
)

from .gaussian import SHAPE, TOKENS, WIDTH, Gaussian, photo, prompt


@pytest.mark.parametrize("shape", [(1, 4, 12, 16), (2, 4, 12, 16), (1, 16, 1, 12, 16)])
def test_the_region_is_where_a_change_is_large(shape):
    change = torch.full(shape, 0.01)
    change[..., 2:8, 3:9] = 1.0
    region = region_of(change, 0.4)
    assert region.shape == (shape[0], 1, *shape[2:])
    assert (region[..., 3:7, 4:8] == 1).all()
    assert (region[..., 10:, :] == 0).all()
    assert (region[..., 11:] == 0).all()


def test_a_change_of_the_whole_picture_has_all_of_it_as_its_region():
    assert (region_of(torch.randn(1, 64, 16, 16), 0.4) == 1).all()


def test_a_picture_of_more_positions_than_a_quantile_takes_has_a_region():
    change = torch.full((1, 1, 2**23 + 1, 2), 0.01)  # a pixel a position, and narrow, for its window is small
    change[..., : 2**22, :] = 1.0
    region = region_of(change, 0.4)
    assert region[0, 0, 2**22 - 9].all()
    assert not region[0, 0, 2**22 + 9].any()
    assert not is_whole(change, 0.4)
    assert is_whole(change, 0.02)


def test_no_change_has_no_region_and_no_threshold_has_all():
    assert not region_of(torch.zeros(1, 4, 8, 8), 0.4).any()
    change = torch.zeros(1, 4, 8, 8)
    change[..., 0, 0] = 1
    assert (region_of(change, 0.0) == 1).all()


@given(st.integers(0, 2**32), st.floats(1e-3, 1e3), st.floats(0.05, 0.5), st.floats(1.1, 1.8))
def test_the_region_knows_no_scale_and_shrinks_as_the_threshold_grows(seed, scale, threshold, factor):
    change = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) * torch.linspace(0, 1, 8)
    region = region_of(change, threshold)
    torch.testing.assert_close(region_of(change * scale, threshold), region, rtol=0, atol=1e-3)
    assert (region_of(change, threshold * factor) <= region).all()


class Places(nn.Module):
    """The mean latent is `everywhere` plus the text's first number at the first of the latent's four columns."""

    def __init__(self, everywhere: float):
        super().__init__()
        self.final, self.pool, self.everywhere = nn.Linear(1, 1), nn.Linear(1, 1), everywhere  # for their dtypes

    def forward(self, tokens, pooled):
        means = tokens[:, 0, 0].view(-1, 1, 1, 1) * self.everywhere * torch.ones(len(tokens), *SHAPE[1:])
        means[..., :1] += tokens[:, 0, 0].view(-1, 1, 1, 1)
        return means


def texts(change: float) -> tuple[dict, dict]:
    source = {"cross_attn": torch.zeros(1, TOKENS, WIDTH)}
    target = {"cross_attn": torch.zeros(1, TOKENS, WIDTH)}
    target["cross_attn"][:, 0, 0] = change
    return source, target


@pytest.mark.parametrize("prediction", ["epsilon", "v", "flow"])
def test_the_model_finds_the_region_that_two_texts_disagree_on(prediction):
    denoiser, latent = Gaussian(prediction, spread=0.02, network=Places(0)), photo()
    source, target = texts(1.0)
    region = edit_region(denoiser, latent, source, target)
    change = torch.zeros(SHAPE)
    change[..., 0] = 1
    torch.testing.assert_close(region, region_of(change, 0.4))
    assert region[..., 0].all()
    assert not region[..., 2:].any()
    assert torch.equal(region, edit_region(denoiser, latent, source, target))
    assert not edit_region(denoiser, latent, source, source).any()


@pytest.mark.parametrize("prediction", ["epsilon", "v", "flow"])
@pytest.mark.parametrize(("everywhere", "whole"), [(0.2, True), (0.1, False)])
def test_an_edit_of_the_whole_picture_may_change_all_of_it(prediction, everywhere, whole):
    """However much more some of it changes: by a sixth of what the model cannot explain.

    A model that hardly looks at the latent predicts a mean of zero for the photo, and so explains nothing of it.
    """
    latent = torch.ones(SHAPE)
    denoiser = Gaussian(prediction, spread=1e-6, network=Places(everywhere))
    region = edit_region(denoiser, latent, *texts(1.0))
    assert bool(region.all()) == whole
    assert not edit_region(denoiser, latent, *texts(1.0), threshold=0.9)[..., 2:].any()


@given(st.floats(1e-3, 1e3), st.floats(0.01, 0.9), st.floats(1e-3, 2))
def test_whether_an_edit_is_one_of_the_whole_picture_knows_no_scale(scale, threshold, size):
    unexplained = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * scale
    unexplained /= unexplained.flatten(1).square().mean(1).sqrt().view(-1, 1, 1, 1) / scale
    share = relative_size(torch.full_like(unexplained, size * scale), unexplained)
    torch.testing.assert_close(share, torch.full_like(share, size))
    least = (0.36 * threshold) ** 2  # where all changes alike, it is all of the largest change
    if abs(size / least - 1) > 1e-4:
        assert is_whole(share, threshold) == (size > least)


@pytest.mark.parametrize(
    ("least", "largest", "whole"), [(0.2, 1, True), (0.2, 3, True), (0.1, 0.4, True), (0.1, 1, False)]
)
def test_the_least_change_counts_by_two_shares(least, largest, whole):
    """Of what the model cannot explain, and of the largest change, which is no more than all of that."""
    share = torch.full((1, 1, 8, 8), least)
    share[..., :2] = largest
    assert is_whole(share, 0.4) == whole


@pytest.mark.parametrize("at_a_time", [12, 5, 1])
def test_every_evaluation_is_counted(at_a_time, monkeypatch):
    monkeypatch.setattr(objective, "POSITIONS_PER_FORWARD", at_a_time * photo()[0, 0].numel())
    seen = []
    edit_region(Gaussian(), photo(), prompt(), prompt(1), on_evaluation=seen.append)
    assert max(seen) == at_a_time
    assert sum(seen) == 1.5 * FORWARD_EQUIVALENTS  # the whole picture changes


@pytest.mark.parametrize("quantile", [0.5, NOISIEST_LOCAL])  # the noisiest levels count for the whole picture alone
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_model_that_gives_nan_finds_no_region(quantile, value):
    class Broken(Gaussian):
        def __call__(self, noisy, sigma, conditioning):
            broken = sigma > standard_levels(self, torch.tensor([quantile]))
            return super().__call__(noisy, sigma, conditioning) * torch.where(broken, value, 1).view(-1, 1, 1, 1)

    with pytest.raises(
        ValueError, match=r"^What the model predicts for this photo holds NaN or infinite values: run .*\.$"
    ):
        edit_region(Broken(), photo(), prompt(), prompt(1))


@pytest.mark.parametrize(("side", "width"), [(16, 2), (32, 2), (40, 2.5), (64, 4), (128, 8), (512, 32)])
def test_a_change_is_averaged_over_a_share_of_the_picture(side, width):
    """A single position counts by its share of a square of a sixteenth of the side, not always a whole odd number."""
    change = torch.zeros(1, 4, side, side)
    change[..., side // 2, side // 2] = 1
    size = local_size(change)
    torch.testing.assert_close(size.square().sum(), torch.tensor(1.0))  # each position's weights sum to one
    torch.testing.assert_close(size.max(), torch.tensor(1 / width))
    row = size.square().sum(-2).flatten()
    positions = torch.arange(side) - side // 2
    torch.testing.assert_close(row, (width / 2 + 0.5 - positions.abs()).clamp(0, 1) / width)
    torch.testing.assert_close(local_size(torch.ones(1, 4, side, side)), torch.ones(1, 1, side, side))
