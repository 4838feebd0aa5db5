"""The sampler and the model that all methods share."""

import numpy as np
import pytest
import torch

from imagic import fine_tune
from scripts import workflow

from . import metrics, pairs
from .methods import default

PAIR = pairs.bench()[0]
STEPS = 10


@pytest.fixture(scope="module")
def latent(studio):
    return studio.encode(PAIR.source)


@pytest.fixture(scope="module")
def caption(studio):
    return studio.text(PAIR.edit.source_caption)


def test_the_default_is_what_the_example_workflow_has():
    """Else the bench would report on other values than people see."""
    settings, graph = default.settings(), workflow.load()
    for stage, title in (("embedding", "A: optimize the embedding"), ("fine_tuning", "B: tune the model")):
        widgets = {name: value for name, value in workflow.inputs(graph, title).items() if not isinstance(value, list)}
        assert settings[stage] == widgets
    assert {0.0, settings["eta"]} <= set(settings["etas"])


def test_a_sample_of_low_strength_stays_with_the_photo_and_a_full_one_does_not(studio, latent, caption):
    near, far = (studio.sample(caption, latent, strength=strength, steps=4) for strength in (0.1, 1.0))
    assert metrics.psnr(near, PAIR.source) > metrics.psnr(far, PAIR.source) + 3
    np.testing.assert_array_equal(near, studio.sample(caption, latent, strength=0.1, steps=4))


def test_inversion_is_undone_by_sampling_without_guidance(studio, latent, caption):
    steps = 2 * STEPS  # an inversion is exact in the limit of many
    noise = studio.invert(latent, caption, steps=steps)
    levels = studio.levels(steps)
    assert float(noise.std() / levels[0]) == pytest.approx(1, abs=0.3)
    again = studio.denoise(noise, caption, levels, guidance=1)
    other = studio.denoise(studio.noise(latent) * levels[0], caption, levels, guidance=1)
    assert (again - latent).square().mean() < 0.1 * (other - latent).square().mean()


def test_its_sampler_is_ddim(studio, latent, caption):
    """As diffusers steps."""
    scheduler, sigmas = studio.denoiser.schedule.sampler(4)
    levels = studio.levels(4)
    noisy = theirs = studio.denoiser.add_noise(latent, studio.noise(latent), levels[:1])
    norms = studio.denoiser.schedule.norm(sigmas)
    theirs = noisy / norms[0]
    for timestep, sigma, norm in zip(scheduler.timesteps, sigmas, norms, strict=True):
        clean = studio.predict(theirs * norm, sigma, caption)
        theirs = scheduler.step(clean, timestep, theirs).prev_sample
    torch.testing.assert_close(studio.denoise(noisy, caption, levels), theirs, rtol=1e-3, atol=1e-3)


def test_guidance_one_is_the_text_alone(studio, latent, caption):
    levels = studio.levels()[-2:]
    alone = studio.denoise(latent, caption, levels, guidance=1)
    guided = studio.denoise(latent, caption, levels, guidance=1 + 1e-6)
    torch.testing.assert_close(alone, guided, rtol=1e-4, atol=1e-4)


def test_a_tuned_model_differs_and_is_put_back(studio, latent, caption):
    update, _ = fine_tune(studio.denoiser, latent, caption, steps=1, samples=1, rank=1)
    before = {name: tensor.clone() for name, tensor in studio.network.state_dict().items()}
    with studio.tuned(update):
        assert any(not torch.equal(before[name], tensor) for name, tensor in studio.network.state_dict().items())
    assert all(torch.equal(before[name], tensor) for name, tensor in studio.network.state_dict().items())
