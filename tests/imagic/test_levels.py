"""Levels by noise-to-signal ratio are the same however a model's schedule is shifted."""

import pytest
import torch
from diffusers import DDIMScheduler

from imagic.denoiser import stratified_quantiles
from imagic.levels import noise_to_signal, sigma_at, standard_levels, training_levels
from imagic.objective import NoiseSampler
from imagic.region import edit_region
from imagic.scoring import rank
from imagic.validation import Validation

from .gaussian import Gaussian, photo, prompt

QUANTILES = torch.tensor([0.05, 0.3, 0.5, 0.8, 0.95])


@pytest.mark.parametrize("prediction", ["epsilon", "v", "flow"])
def test_the_level_at_a_ratio_has_that_ratio(prediction):
    denoiser, ratio = Gaussian(prediction), torch.tensor([0.1, 0.83, 1.6, 5.0, 12.0])
    torch.testing.assert_close(noise_to_signal(denoiser, sigma_at(denoiser, ratio)), ratio, rtol=1e-4, atol=0)


def test_a_ratio_beyond_the_models_range_is_its_end():
    denoiser = Gaussian("epsilon")  # from 0.03 to 15
    ends = sigma_at(denoiser, torch.tensor([1e-3, 1e3]))
    torch.testing.assert_close(ends, torch.tensor([0.03, 15.0]), rtol=1e-4, atol=0)


def test_the_standard_levels_are_those_of_stable_diffusion():
    alphas = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    ratios = ((1 - alphas) / alphas).sqrt()[(QUANTILES * 1000).long() - 1]
    for denoiser in (Gaussian("epsilon"), Gaussian("flow")):
        found = noise_to_signal(denoiser, standard_levels(denoiser, QUANTILES))
        torch.testing.assert_close(found, ratios, rtol=0.01, atol=0)


@pytest.mark.parametrize("shift", [3.0, 8.0])
def test_a_shift_moves_neither_region_nor_scores_nor_validation_nor_training(shift):
    seen = []
    for denoiser in (Gaussian("flow"), Gaussian("flow", shift=shift)):
        latent, levels, call = photo(), [], denoiser.predict

        def watched(noisy, sigma, conditioning, levels=levels, call=call):
            levels.append(sigma)
            return call(noisy, sigma, conditioning)

        denoiser.predict = watched
        edit_region(denoiser, latent, prompt(0), prompt(1))
        rank(denoiser, latent, photo(7), prompt(0), prompt(1))
        Validation(denoiser, latent).loss(denoiser, prompt())
        seen.append(torch.cat([*levels, NoiseSampler(latent, 8, 0).draw(denoiser)[1]]))
    torch.testing.assert_close(seen[1], seen[0], rtol=1e-5, atol=1e-6)


def test_training_levels_of_a_flow_are_logit_normal_and_of_all_else_uniform_over_the_schedule():
    quantiles = stratified_quantiles(4000, torch.Generator().manual_seed(0))
    logits = training_levels(Gaussian("flow", shift=3.0), quantiles).logit()
    assert float(logits.mean()) == pytest.approx(0, abs=0.01)
    assert float(logits.std()) == pytest.approx(1, abs=0.01)
    assert (logits.diff() >= 0).all()
    assert torch.equal(training_levels(Gaussian("v"), quantiles), Gaussian("v").sigma(quantiles))
