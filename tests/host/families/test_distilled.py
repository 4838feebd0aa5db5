"""Variants of a family that were distilled and ask more of the network than its base does."""

from dataclasses import replace

import pytest
import torch

from tests.host.ready import ready_to_train

from .rows import FAMILIES

MEANFLOW = [row for row in FAMILIES if row.name == "HunyuanImage 2.1" and row.known]


@pytest.mark.parametrize("row", MEANFLOW or [None])
def test_a_network_that_goes_from_one_level_to_another_is_trained_where_both_are_the_same(workbench, row):
    if row is None:
        return  # the host of March 2024 is older than the family
    bench = workbench(replace(row, name="HunyuanImage 2.1 distilled", full={**row.full, "meanflow": True}))
    network, seen = bench.model.model.diffusion_model, []
    network.time_in.register_forward_pre_hook(lambda _, inputs: seen.append(("from", inputs[0])))
    network.time_r_in.register_forward_pre_hook(lambda _, inputs: seen.append(("to", inputs[0])))
    with ready_to_train(bench, bench.model, bench.latent["samples"], bench.target) as (denoiser, latent, text):
        seen.clear()
        with torch.no_grad():
            denoiser(latent.repeat(2, *[1] * (latent.ndim - 1)), denoiser.sigma(torch.tensor([0.3, 0.8])), text)
    assert [name for name, _ in seen] == ["from", "to"] * 2
    for (_, start), (_, end) in zip(seen[::2], seen[1::2], strict=True):
        assert start.shape == end.shape
    assert (seen[0][1] - seen[2][1]).abs().max() > 0.1
    assert (seen[1][1] - seen[3][1]).abs().max() > 0.1
    summary = bench.optimize()["ui"]["imagic"][0]
    assert summary["validation_after"] < summary["validation_before"]
