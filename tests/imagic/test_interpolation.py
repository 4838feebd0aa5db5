"""Stage C: a straight line between two embeddings, whatever their lengths."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imagic import interpolate
from imagic.interpolation import MAX_REPEATS, match_lengths

lengths = st.integers(1, 40)


def tokens(length: int, seed: int = 0, width: int = 8) -> torch.Tensor:
    return torch.randn(1, length, width, generator=torch.Generator().manual_seed(seed))


def attention(query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(query, keys, keys.flip(-1))


def test_both_ends_are_exactly_what_went_in():
    optimized = {"cross_attn": tokens(7, 1), "pooled_output": torch.randn(1, 5)}
    target = {"cross_attn": tokens(7, 2), "pooled_output": torch.randn(1, 5)}
    for eta, end in ((0.0, optimized), (1.0, target)):
        result = interpolate(optimized, target, eta)
        assert all(torch.equal(result[name], end[name]) for name in ("cross_attn", "pooled_output"))


@given(st.floats(-2, 3), st.integers(0, 100))
def test_every_embedding_moves_along_a_straight_line_which_goes_on_beyond_its_ends(eta, seed):
    optimized = {"cross_attn": tokens(7, seed), "pooled_output": tokens(1, seed + 1)[0]}
    target = {"cross_attn": tokens(7, seed + 2), "pooled_output": tokens(1, seed + 3)[0]}
    result = interpolate(optimized, target, eta)
    for name in optimized:
        expected = optimized[name].double() + eta * (target[name].double() - optimized[name].double())
        torch.testing.assert_close(result[name].double(), expected, rtol=1e-5, atol=1e-5)


def test_the_result_has_the_precision_of_the_target_but_is_computed_in_fp32():
    optimized, target = {"cross_attn": tokens(7, 1)}, {"cross_attn": tokens(7, 2).bfloat16()}
    result = interpolate(optimized, target, 0.3)["cross_attn"]
    assert torch.equal(result, torch.lerp(optimized["cross_attn"], target["cross_attn"].float(), 0.3).bfloat16())


def test_what_goes_in_is_left_as_it_was():
    optimized, target = {"cross_attn": tokens(2, 1)}, {"cross_attn": tokens(3, 2)}
    interpolate(optimized, target, 0.5)
    assert torch.equal(optimized["cross_attn"], tokens(2, 1))
    assert torch.equal(target["cross_attn"], tokens(3, 2))


@given(lengths, lengths, st.integers(0, 100))
def test_matched_sequences_have_one_length_and_begin_as_they_did(a, b, seed):
    first, second = match_lengths(tokens(a, seed), tokens(b, seed + 1))
    assert first.shape == second.shape
    assert first.shape[1] <= MAX_REPEATS * max(a, b)
    assert torch.equal(first[:, :a], tokens(a, seed))
    assert torch.equal(second[:, :b], tokens(b, seed + 1))


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.integers(0, 100))
def test_attention_over_a_repeated_sequence_is_attention_over_the_sequence(unit, a, b, seed):
    first, second = tokens(unit * a, seed), tokens(unit * b, seed + 1)
    query = tokens(5, seed + 2)
    for original, longer in zip((first, second), match_lengths(first, second), strict=True):
        torch.testing.assert_close(attention(query, longer), attention(query, original), rtol=1e-5, atol=1e-5)


def test_lengths_are_matched_by_their_least_common_multiple():
    assert match_lengths(tokens(77), tokens(154))[0].shape[1] == 154
    assert match_lengths(tokens(2), tokens(3))[0].shape[1] == 6


def test_a_sequence_that_would_repeat_too_often_is_extended_by_its_last_token():
    short, long = tokens(7, 1), tokens(11, 2)
    first, second = match_lengths(short, long)
    assert torch.equal(first, torch.cat([short, short[:, -1:].repeat(1, 4, 1)], dim=1))
    assert torch.equal(second, long)


@given(lengths, lengths)
def test_both_ends_attend_as_before_when_lengths_differ(a, b):
    optimized, target = {"cross_attn": tokens(a, 1)}, {"cross_attn": tokens(b, 2)}
    first, second = match_lengths(optimized["cross_attn"], target["cross_attn"])
    assert torch.equal(interpolate(optimized, target, 0.0)["cross_attn"], first)
    assert torch.equal(interpolate(optimized, target, 1.0)["cross_attn"], second)


def test_of_hidden_layers_side_by_side_the_tokens_are_matched():
    """As HiDream has them: [1, layers, tokens, width]."""
    short, long = (torch.stack([tokens(length, seed)[0] for seed in range(3)])[None] for length in (2, 4))
    first, second = match_lengths(short, long)
    assert torch.equal(first, torch.cat([short, short], 2))
    assert torch.equal(second, long)
    assert torch.equal(
        match_lengths(tokens(7)[:, None], tokens(11)[:, None])[0][0], match_lengths(tokens(7), tokens(11))[0]
    )


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_a_mask_is_the_union_of_both(dtype):
    optimized = {"attention_mask": torch.tensor([[1, 1, 0, 0]], dtype=dtype)}
    target = {"attention_mask": torch.tensor([[1, 0, 0, 1]], dtype=dtype)}
    for eta in (0.0, 0.5, 1.0):
        mask = interpolate(optimized, target, eta)["attention_mask"]
        assert torch.equal(mask, torch.tensor([[1, 1, 0, 1]], dtype=dtype))


def test_a_mask_grows_with_its_tokens():
    optimized = {"cross_attn": tokens(2, 1), "attention_mask": torch.tensor([[1, 0]])}
    target = {"cross_attn": tokens(4, 2), "attention_mask": torch.tensor([[1, 0, 0, 0]])}
    result = interpolate(optimized, target, 0.5)
    assert result["cross_attn"].shape[1] == 4
    assert result["attention_mask"].tolist() == [[1, 0, 1, 0]]


def test_what_only_one_side_has_is_kept():
    result = interpolate({"a": torch.ones(1, 2)}, {"b": torch.zeros(1, 3)}, 0.5)
    assert torch.equal(result["a"], torch.ones(1, 2))
    assert torch.equal(result["b"], torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("name", "optimized", "target"),
    [
        ("cross_attn", (1, 7, 8), (1, 7, 6)),
        ("cross_attn", (1, 7, 8), (1, 8)),
        ("pooled_output", (1, 768), (1, 1280)),
    ],
)
def test_embeddings_of_different_text_encoders_are_refused_in_a_clear_sentence(name, optimized, target):
    shapes = re.escape(f"{name} is {list(optimized)} and {list(target)}")
    with pytest.raises(ValueError, match=f"{shapes}.*text encoder of the same checkpoint"):
        interpolate({name: torch.zeros(optimized)}, {name: torch.zeros(target)}, 0.5)
