"""The size of a text embedding follows its scale and nothing else: not massive channels, padding or other encoders."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imagic.sizes import robust_rms, text_sizes


def text(*shape: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))


@given(st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_it_scales_as_the_text_does(scale, seed):
    tokens = text(7, 64, seed=seed)
    torch.testing.assert_close(text_sizes(scale * tokens), scale * text_sizes(tokens), rtol=1e-4, atol=0)


def test_ordinary_numbers_have_the_size_of_their_root_mean_square():
    for tokens in (text(77, 768), text(1280), text(4, 20, 512)):
        torch.testing.assert_close(text_sizes(tokens), torch.ones_like(tokens), rtol=0.1, atol=0)


@pytest.mark.parametrize("massive", [30, 300, 3000])
def test_massive_channels_count_little_however_large(massive):
    tokens = text(77, 1024)
    plain = text_sizes(tokens)
    tokens[..., :4] *= massive  # of all tokens
    tokens[:, 0, 10] = 100 * massive  # and of the first alone
    torch.testing.assert_close(text_sizes(tokens), plain, rtol=0.1, atol=0)


def test_padding_stays_what_it_is_and_counts_for_nothing():
    tokens = text(20, 64)
    padded = torch.cat([tokens, torch.zeros(1, 236, 64)], 1)
    sizes = text_sizes(padded)
    torch.testing.assert_close(sizes[:, :20], text_sizes(tokens))
    assert not sizes[:, 20:].any()
    assert not text_sizes(torch.zeros(1, 1280)).any()


def test_encoders_joined_token_by_token_have_a_size_each():
    """As of Stable Diffusion 3: CLIP's 2048 channels padded to the 4096 of T5, whose numbers are a fifth as large."""
    clip = torch.nn.functional.pad(text(77, 512), (0, 512))
    sizes = text_sizes(torch.cat([clip, text(154, 1024, scale=0.2, seed=1)], 1))
    torch.testing.assert_close(sizes[:, :77, :512], torch.ones(1, 77, 512), rtol=0.1, atol=0)
    assert not sizes[:, :77, 512:].any()
    torch.testing.assert_close(sizes[:, 77:], torch.full((1, 154, 1024), 0.2), rtol=0.1, atol=0)


def side_by_side(*shape: int) -> torch.Tensor:
    """CLIP-L's 768 channels and bigG's 1280, a fifth as large."""
    return torch.cat([text(*shape, 768), text(*shape, 1280, scale=0.2, seed=1)], -1)


@pytest.mark.parametrize("shape", [(77,), ()])
def test_encoders_joined_channel_by_channel_have_a_size_each(shape):
    """As of SDXL's tokens and the pooled embedding of Stable Diffusion 3 and HiDream."""
    sizes = text_sizes(side_by_side(*shape))
    torch.testing.assert_close(sizes[..., :768], torch.ones(1, *shape, 768), rtol=0.1, atol=0)
    torch.testing.assert_close(sizes[..., 768:], torch.full((1, *shape, 1280), 0.2), rtol=0.1, atol=0)


def test_three_encoders_joined_in_both_ways_have_a_size_each():
    """As of Stable Diffusion 3 at its real widths: CLIP-L and bigG, then T5."""
    clip = torch.nn.functional.pad(side_by_side(77), (0, 2048))
    sizes = text_sizes(torch.cat([clip, text(77, 4096, scale=5, seed=2)], 1))
    for part, size in ((sizes[:, :77, :768], 1), (sizes[:, :77, 768:2048], 0.2), (sizes[:, 77:], 5)):
        torch.testing.assert_close(part, torch.full_like(part, size), rtol=0.1, atol=0)
    assert not sizes[:, :77, 2048:].any()


def test_one_of_the_two_encoders_may_be_missing():
    """Stable Diffusion 3 without CLIP-L: the host puts zeros in its place."""
    tokens = torch.cat([torch.zeros(1, 77, 768), text(77, 1280)], -1)
    sizes = text_sizes(tokens)
    assert not sizes[..., :768].any()
    torch.testing.assert_close(sizes[..., 768:], text_sizes(tokens[..., 768:]))


def test_a_single_encoder_of_the_same_width_has_one_size_all_the_same():
    """As of OmniGen 2, whose language model is as wide as the two CLIPs: taking it for two costs nothing."""
    tokens = text(200, 2048)
    tokens[..., 5] *= 300
    torch.testing.assert_close(text_sizes(tokens), torch.ones_like(tokens), rtol=0.1, atol=0)


def test_layers_have_a_size_each():
    """As of HiDream, which reads every layer of a language model; they grow from layer to layer."""
    scales = torch.tensor([0.1, 1, 10]).view(1, 3, 1, 1)
    sizes = text_sizes(scales * text(3, 128, 256))
    torch.testing.assert_close(sizes, scales.expand_as(sizes), rtol=0.1, atol=0)


def test_no_channels_have_no_size():
    assert robust_rms(torch.zeros(4)) == 0
