"""Variants of a family that were distilled and ask more of the network than its base does."""

from dataclasses import replace

import pytest

from .rows import FAMILIES

MEANFLOW = [row for row in FAMILIES if row.name == "HunyuanImage 2.1" and row.known]


@pytest.mark.parametrize("row", MEANFLOW or [None])
def test_a_network_that_looks_for_its_samplers_next_step_is_trained_without_one(workbench, row):
    if row is None:
        return  # the host of March 2024 is older than the family
    bench = workbench(replace(row, name="HunyuanImage 2.1 distilled", full={**row.full, "meanflow": True}))
    assert bench.model.model.diffusion_model.time_r_in is not None
    summary = bench.optimize()["ui"]["imagic"][0]
    assert summary["validation_after"] < summary["validation_before"]
