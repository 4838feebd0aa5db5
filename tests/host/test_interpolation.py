"""Stage C on the host's own CONDITIONING."""

import pytest
import torch


def test_eta_zero_is_the_optimized_embedding_and_one_the_target(studio):
    optimized = studio.optimize()["result"][0]
    start, end = studio.interpolate(optimized, studio.target, sweep="0, 1")
    assert torch.equal(start[0][0], optimized[0][0])
    assert torch.equal(end[0][0], studio.target[0][0])


def test_pooled_embeddings_are_interpolated_too(studio):
    optimized = [[torch.zeros(1, 77, 8), {"pooled_output": torch.zeros(1, 8)}]]
    target = [[torch.ones(1, 77, 8), {"pooled_output": torch.ones(1, 8), "width": 512}]]
    ((tokens, extras),) = studio.interpolate(optimized, target, eta=0.25)[0]
    assert tokens.unique().tolist() == extras["pooled_output"].unique().tolist() == [0.25]
    assert extras["width"] == 512


def test_a_sweep_gives_a_list_and_an_empty_one_only_eta(studio):
    assert len(studio.interpolate(studio.target, studio.target, sweep="0.2; 0.4,0.6")) == 3
    assert len(studio.interpolate(studio.target, studio.target, eta=1.3)) == 1


def test_the_node_shows_the_eta_that_it_read(studio, monkeypatch):
    """1,2 is two numbers, also where people write 1.2 so."""
    shown = []
    node = studio.module("nodes.interpolate_embedding")
    monkeypatch.setattr(node, "text_sender", lambda node_id: lambda text: shown.append((node_id, text)))
    studio.nodes["ImagicInterpolateEmbedding"]().interpolate(studio.target, studio.target, 1.0, "1,2", "7")
    assert shown == [("7", "eta 1, 2")]


def test_a_long_prompt_samples_with_a_short_anchor(studio):
    """Two chunks of 77 tokens against one."""
    long_target = studio.text(" ".join(["a blue cat sitting on the grass"] * 15))
    assert long_target[0][0].shape[1] == 154
    mixed = studio.interpolate(studio.target, long_target, eta=0.5)[0]
    assert mixed[0][0].shape[1] == 154
    assert studio.sample(studio.model, mixed)["samples"].isfinite().all()
    # The shorter end is repeated, which attention cannot tell from the original.
    start = studio.interpolate(studio.target, long_target, eta=0.0)[0]
    expected = studio.sample(studio.model, studio.target)["samples"]
    torch.testing.assert_close(studio.sample(studio.model, start)["samples"], expected, atol=1e-3, rtol=0)


def test_each_entry_of_a_combined_target_is_interpolated_and_keeps_its_area(studio):
    target = [*studio.target, [studio.negative[0][0], {**studio.negative[0][1], "area": (8, 8, 0, 0)}]]
    first, second = studio.interpolate(studio.target, target, eta=0.5)[0]
    assert torch.equal(first[0], studio.target[0][0])
    assert second[1]["area"] == (8, 8, 0, 0)
    torch.testing.assert_close(second[0], (studio.target[0][0] + studio.negative[0][0]) / 2)


@pytest.mark.parametrize(
    ("optimized", "target", "changes", "message"),
    [
        (1, 1, {"sweep": "0.2, strong"}, "write numbers separated by commas"),
        (1, 1, {"sweep": "0,5"}, "sweep is '0,5', and of that 5 is not between -2 and 3: .* a point for decimals"),
        (1, 1, {"sweep": "3.0000001"}, "of that 3.0000001 is not between"),
        (1, 1, {"sweep": "1, nan"}, "of that nan is not between"),
        (1, 1, {"sweep": ",".join(["1"] * 10_000)}, "sweep holds 10000 numbers.* at most 100"),
        (1, 1, {"eta": 7.0}, "set it between -2 and 3"),
        (0, 1, {}, "optimized conditioning is empty"),
        (1, 0, {}, "target conditioning is empty"),
        (3, 2, {}, "as many as the target"),
    ],
)
def test_bad_input_is_one_sentence(studio, optimized, target, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        studio.interpolate(studio.target * optimized, studio.target * target, **changes)
    assert "\n" not in str(error.value)


def test_embeddings_of_different_models_are_refused(studio):
    with pytest.raises(ValueError, match="text encoder of the same checkpoint"):
        studio.interpolate([[torch.zeros(1, 77, 8), {}]], [[torch.zeros(1, 77, 16), {}]])
