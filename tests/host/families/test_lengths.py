"""Texts of unequal length where a text and the picture attend to each other, so that the number of tokens counts."""

import pytest
import torch

from .rows import FAMILIES

JOINT = ("SD 3", "AuraFlow", "Flux.1 dev", "Lumina 2")
KNOWN = [pytest.param(row, id=row.name) for row in FAMILIES if row.name in JOINT and row.known]


@pytest.mark.parametrize("row", KNOWN or [None])
def test_eta_zero_is_the_photo_for_a_target_of_another_length(workbench, row, monkeypatch):
    if row is None:
        # The host of March 2024 is older than all of these.
        assert not KNOWN
        return
    bench = workbench(row)
    optimized = bench.optimize()["result"][0]
    tokens, extras = bench.target[0]
    longer = {name: torch.cat([mask, mask], 1) for name, mask in extras.items() if name == "attention_mask"}
    monkeypatch.setattr(bench, "target", [[torch.cat([tokens, tokens.flip(1)], 1), {**extras, **longer}]])
    at_zero = bench.interpolate(optimized, 0)
    assert at_zero[0][0].shape != tokens.shape
    keeping, photo = bench.keep_photo(bench.model, optimized), bench.latent["samples"]
    assert (bench.sample(keeping, at_zero) - photo).abs().max() < 0.02
    assert (bench.sample(keeping, bench.target) - photo).abs().max() > 0.02


@pytest.mark.parametrize("row", KNOWN or [None])
def test_the_region_is_searched_under_texts_of_one_length(workbench, row, monkeypatch):
    if row is None:
        assert not KNOWN
        return
    bench, seen = workbench(row), []
    node = bench.module("nodes.edit_region")
    monkeypatch.setattr(node, "find_region", lambda model, photo, text, wanted, *_: seen.append((text, wanted)))
    tokens, extras = bench.target[0]
    half = tokens.shape[1] // 2
    longer = {name: torch.cat([mask, mask[:, :half]], 1) for name, mask in extras.items() if name == "attention_mask"}
    optimized = [[torch.cat([tokens, tokens[:, :half]], 1), {**extras, **longer}]]
    for one, other in ((optimized, bench.target), (bench.target, optimized)):
        node.region(bench.model, bench.latent["samples"], one, other, 0.4)
    for text, wanted in seen:
        assert text["cross_attn"].shape == wanted["cross_attn"].shape
        assert text["cross_attn"].shape[1] > tokens.shape[1]
