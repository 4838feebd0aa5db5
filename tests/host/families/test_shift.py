"""A shift of the schedule, as nodes of the host set one, moves nothing that the nodes measure."""

import importlib

import pytest
import torch

from tests.host.ready import ready_to_train

from .rows import FAMILIES

SHIFTS = {"SD 3": ("ModelSamplingSD3", (7.0,)), "Flux.1 dev": ("ModelSamplingFlux", (2.0, 0.5, 1024, 1024))}
SHIFTED = [pytest.param(row, id=row.name) for row in FAMILIES if row.name in SHIFTS and row.known]


@pytest.mark.parametrize("row", SHIFTED or [None])
def test_a_shift_moves_no_level_of_region_pick_and_validation(workbench, row):
    if row is None:
        # The host of March 2024 is older than both.
        assert not hasattr(importlib.import_module("comfy.supported_models"), "SD3")
        return
    bench = workbench(row)
    name, arguments = SHIFTS[row.name]
    with torch.inference_mode():
        node = getattr(importlib.import_module("comfy_extras.nodes_model_advanced"), name)
        shifted = node().patch(bench.model, *arguments)[0]
        found = [measured(bench, model) for model in (bench.model, shifted)]
    assert found[0]["schedule"] != pytest.approx(found[1]["schedule"], rel=0.1)
    for what in ("levels", "validation", "region", "alignment"):
        torch.testing.assert_close(found[1][what], found[0][what], rtol=1e-4, atol=1e-4 * float(found[0][what].std()))


def measured(bench, model) -> dict:
    """What region search, pick and validation find, and which levels they look at."""
    photo = bench.latent["samples"]
    start, fixed = bench.module("nodes.inputs").single_entry(bench.negative)
    end, _ = bench.module("nodes.inputs").single_entry(bench.target)
    with ready_to_train(bench, model, photo, bench.target) as (denoiser, latent, text):
        validation = bench.module("imagic.validation").Validation(denoiser, latent)
        levels, loss = validation.sigma, validation.loss(denoiser, text)
        schedule = denoiser.sigma(torch.tensor([0.5])).tolist()
    pictures = torch.cat([photo, photo.flip(-1), -photo])
    return {
        "schedule": schedule,
        "levels": levels,
        "validation": torch.tensor([loss, 2 * loss]),
        "region": bench.module("nodes.edit_region").region(model, photo, bench.negative, bench.target, 0.4)[0],
        "alignment": bench.module("nodes.pick_edit")._alignment_by_model(model, pictures, start, end, fixed, 4),
    }
