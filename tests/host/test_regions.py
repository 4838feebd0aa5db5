"""A mask as a region: placed as VAE Encode has placed the photo, or refused."""

import pytest
import torch


@pytest.fixture
def region(studio):
    """`tensors.region` for a mask [H, W] and a latent of so many rows and columns."""
    function = studio.module("nodes.tensors").region

    def place(mask, rows, columns, *options):
        return function(mask[None], torch.zeros(1, 4, rows, columns), *options)[0, 0]

    return place


@pytest.mark.parametrize(("height", "width"), [(128, 128), (134, 134), (135, 129), (131, 190)])
def test_a_mask_of_the_photos_size_is_cut_as_the_host_cuts_the_photo(studio, region, height, width):
    """By the host's own cut: the mask goes through it as a picture."""
    mask = torch.rand(height, width, generator=torch.Generator().manual_seed(0))
    cut = studio.vae.vae_encode_crop_pixels(mask[None, ..., None].repeat(1, 1, 1, 3))[0, ..., 0]
    rows, columns = cut.shape[0] // 8, cut.shape[1] // 8
    expected = cut.view(rows, 8, columns, 8).mean((1, 3))
    torch.testing.assert_close(region(mask, rows, columns), expected)


def test_nothing_is_shifted(region):
    """A square around the middle of a photo of 134 pixels stays around it."""
    mask = torch.zeros(134, 134)
    mask[51:83, 51:83] = 1
    placed = region(mask, 16, 16)
    assert placed.unique().tolist() == [0, 1]
    assert torch.equal(placed, placed.flip(0, 1))
    assert placed.sum() == 16


@pytest.mark.parametrize("factor", [1, 4, 16, 32])
def test_other_autoencoders_are_told_by_the_sizes(region, factor):
    mask = torch.zeros(12 * factor, 12 * factor)
    mask[: 4 * factor] = 1
    placed = region(torch.nn.functional.pad(mask, (factor // 4,) * 4), 12, 12)
    assert placed[:4].min() == 1
    assert placed[4:].max() == 0


def test_what_the_model_says_goes_before_what_sizes_allow(region):
    """20 pixels have two whole positions of 8 and of 10."""
    mask = torch.zeros(20, 20)
    mask[:2] = 1
    assert region(mask + 0.1, 2, 2, 10)[0, 0] == pytest.approx(0.28, rel=1e-4)
    assert region(mask + 0.1, 2, 2)[0, 0] == pytest.approx(0.1, rel=1e-4)


def test_a_mask_of_the_same_shape_is_scaled(region):
    mask = torch.zeros(300, 450)
    mask[:150] = 1
    placed = region(mask, 64, 96)
    assert placed[:31].min() == 1
    assert placed[33:].max() == 0


@pytest.mark.parametrize(("height", "width"), [(128, 192), (192, 128), (128, 144), (20, 400)])
def test_a_mask_of_another_shape_is_refused_with_both_sizes(region, height, width):
    sentence = rf"^The region is {width} x {height} pixels and the photo's latent 16 x 16, .* another shape: crop .*\.$"
    with pytest.raises(ValueError, match=sentence):
        region(torch.ones(height, width), 16, 16)


def test_a_mask_that_leaves_nothing_within_the_photo_is_refused(region):
    mask = torch.zeros(134, 134)
    mask[:3] = 1
    with pytest.raises(ValueError, match=r"^The region is empty, so nothing may change: draw .*\.$"):
        region(mask, 16, 16)


def test_a_photo_of_frames_has_a_region_of_one(studio):
    placed = studio.module("nodes.tensors").region(torch.ones(1, 128, 128), torch.zeros(1, 16, 1, 16, 16))
    assert placed.shape == (1, 1, 1, 16, 16)
