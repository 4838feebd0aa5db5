"""Noise levels and loss weights are those of the MODEL's own sampling object, patched ones included."""

import importlib
from contextlib import contextmanager

import pytest
import torch

from tests.host.ready import ready_to_train

from .rows import FAMILIES

advanced = importlib.import_module("comfy_extras.nodes_model_advanced")

# The published losses |out - target|^2 as factors of |denoised - clean|^2, by the host's parameterisation:
# noise (DDPM, Eq. 14), v (Salimans & Ho 2022), EDM's F (Karras et al. 2022, Eq. 8), rectified flow (Liu et al. 2022),
# and the flow as Cosmos writes it, with t = sigma / (1 + sigma).
LOSSES = {
    "EPS": lambda sigma, data: 1 / sigma**2,
    "V_PREDICTION": lambda sigma, data: (sigma**2 + data**2) / (sigma * data) ** 2,
    "EDM": lambda sigma, data: (sigma**2 + data**2) / (sigma * data) ** 2,
    "CONST": lambda sigma, data: 1 / sigma**2,
    "COSMOS_RFLOW": lambda sigma, data: (1 + sigma) ** 2 / sigma**2,
    "V_PREDICTION_DDPM": lambda sigma, data: (sigma**2 + 1) / sigma**2,
}
# One family of each parameterisation and schedule.
NAMES = (
    "SD 1.x",
    "SD 2.x (v-prediction)",
    "SDXL (v-prediction, zero terminal SNR)",
    "CosXL",
    "Playground 2.5",
    "Stable Cascade (stage C)",
    "SD 3",
    "AuraFlow",
    "Flux.1 dev",
    "Cosmos-Predict2 text-to-image",
    "CogVideoX T2V",
)
ROWS = [pytest.param(row, id=row.name) for row in FAMILIES if row.name in NAMES and row.known]

PATCHES = {
    "ModelSamplingSD3": ("SD 3", lambda node, model: node.patch(model, 7.0)),
    "ModelSamplingAuraFlow": ("AuraFlow", lambda node, model: node.patch_aura(model, 5.0)),
    "ModelSamplingFlux": ("Flux.1 dev", lambda node, model: node.patch(model, 2.0, 0.5, 1024, 1024)),
    "ModelSamplingStableCascade": ("Stable Cascade (stage C)", lambda node, model: node.patch(model, 4.0)),
    "ModelSamplingDiscrete": ("SD 1.x", lambda node, model: node.patch(model, "v_prediction", True)),
    "ModelSamplingContinuousEDM": ("SDXL", lambda node, model: node.patch(model, "v_prediction", 120.0, 0.002)),
}


@contextmanager
def denoiser(bench, model):
    with ready_to_train(bench, model, bench.latent["samples"], bench.target) as (ready, _, _):
        yield ready


def parameterisation(sampling) -> str:
    """The host mixes a schedule's class and a parameterisation's into one; the latter comes second."""
    return type(sampling).__bases__[1].__name__


@pytest.mark.parametrize("row", ROWS)
def test_the_loss_weight_is_the_familys_training_loss_in_closed_form(workbench, row):
    bench = workbench(row)
    with denoiser(bench, bench.model) as ready:
        sampling = bench.model.model.model_sampling
        sigma = ready.sigma(torch.tensor([0.02, 0.3, 0.7, 0.98]))
        expected = LOSSES[parameterisation(sampling)](sigma.double(), getattr(sampling, "sigma_data", 1.0)).float()
        torch.testing.assert_close(ready.loss_weight(sigma), expected, rtol=2e-3, atol=0)
        wanted = [float(sampling.percent_to_sigma(1 - q)) for q in (0.02, 0.3, 0.7, 0.98)]
        torch.testing.assert_close(sigma.tolist(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("node", PATCHES)
def test_a_patch_of_the_sampling_is_obeyed_and_stays_on_its_own_model(workbench, node):
    name, patch = PATCHES[node]
    row = next(row for row in FAMILIES if row.name == name)
    if not (hasattr(advanced, node) and row.known):
        # The host of March 2024 knows three of these nodes, and no family of the other three's kind.
        assert node in ("ModelSamplingSD3", "ModelSamplingAuraFlow", "ModelSamplingFlux")
        return
    bench, quantiles = workbench(row), torch.tensor([0.1, 0.5, 0.9])
    with denoiser(bench, bench.model) as ready:
        before = ready.sigma(quantiles), ready.loss_weight(torch.tensor([0.3, 0.9]))
    patched = patch(getattr(advanced, node)(), bench.model)[0]
    sampling = patched.object_patches["model_sampling"]
    with denoiser(bench, patched) as ready:
        wanted = [float(sampling.percent_to_sigma(1 - q)) for q in quantiles.tolist()]
        torch.testing.assert_close(ready.sigma(quantiles).tolist(), wanted, rtol=1e-4, atol=1e-6)
        if "v_prediction" in str(patch.__code__.co_consts):
            assert not torch.equal(ready.loss_weight(torch.tensor([0.3, 0.9])), before[1])
    assert wanted != pytest.approx(before[0].tolist(), rel=1e-3)
    with denoiser(bench, bench.model) as ready:
        assert torch.equal(ready.sigma(quantiles), before[0])
