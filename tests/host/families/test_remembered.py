"""A finished stage is found again for models of every kind: all they are made of can be read."""

import pytest
import torch

from .rows import FAMILIES

KNOWN = [pytest.param(row, id=row.name) for row in FAMILIES if row.known and not row.refusal]


@torch.inference_mode()
def key(bench, model, seed: int = 0, **changed: torch.Tensor) -> str | None:
    text, fixed = bench.module("nodes.inputs").single_entry(bench.target)
    text |= changed
    samples, finished = bench.latent["samples"], bench.module("nodes.host.finished")
    stage = bench.module("imagic.embedding").optimize_embedding
    with bench.module("nodes.host.training").loaded(model, samples, text, fixed) as ready:
        return finished.key(stage, ready.model, ready.denoiser, samples, text, fixed, {"seed": seed})


@pytest.mark.parametrize("family", KNOWN)
def test_it_has_a_key_that_stays_the_same_while_the_model_does(workbench, family):
    bench = workbench(family)
    first = key(bench, bench.model)
    assert first is not None
    assert key(bench, bench.model.clone()) == first
    assert key(bench, bench.model, seed=1) != first
    with torch.inference_mode():
        weight = list(bench.model.model.diffusion_model.parameters())[-1]
        weight.view(-1)[0] += 1
    assert key(bench, bench.model) != first


@pytest.mark.parametrize("family", [row for row in KNOWN if "pooled_output" in row.values[0].text])
def test_a_pooled_text_counts_where_the_model_reads_it(workbench, family):
    bench = workbench(family)
    pooled = bench.target[0][1]["pooled_output"]
    assert key(bench, bench.model, pooled_output=pooled + 1) != key(bench, bench.model)
