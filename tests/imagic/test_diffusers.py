"""A diffusers pipeline as a Denoiser follows the definitions of its own scheduler."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DConditionModel
from diffusers.training_utils import compute_snr
from torch.nn import functional as F

from imagic import fine_tune, optimize_embedding
from imagic.blocks import blocks
from imagic.diffusers import DiffusersDenoiser
from imagic.finetuning import TUNE_MODES
from imagic.objective import denoising_loss

from .gaussian import fingerprint, merged

PREDICTIONS = ["epsilon", "v_prediction", "sample"]
TIMESTEPS = torch.tensor([0, 1, 250, 700, 999])
CONDITIONING = {"cross_attn": torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(3))}


def tiny_unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=4,
    ).eval()


def pipeline(prediction: str, scheduler: type = DDIMScheduler) -> DDPMPipeline:
    # Stable Diffusion's schedule.
    options = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}
    return DDPMPipeline(tiny_unet().requires_grad_(False), scheduler(prediction_type=prediction, **options))


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 4, 8, 8, generator=generator), torch.randn(len(TIMESTEPS), 4, 8, 8, generator=generator)


def level(pipe: DDPMPipeline) -> tuple[torch.Tensor, torch.Tensor]:
    """sqrt(alpha) and sigma at TIMESTEPS."""
    alpha = pipe.scheduler.alphas_cumprod[TIMESTEPS]
    return alpha.sqrt().view(-1, 1, 1, 1), ((1 - alpha) / alpha).sqrt()


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_noise_is_added_as_the_scheduler_adds_it_up_to_scale(prediction):
    pipe, (latent, noise) = pipeline(prediction), example()
    scale, sigma = level(pipe)
    theirs = pipe.scheduler.add_noise(latent.expand_as(noise), noise, TIMESTEPS)
    torch.testing.assert_close(scale * DiffusersDenoiser(pipe).add_noise(latent, noise, sigma), theirs)


def test_every_number_of_steps_goes_from_noise_to_the_photo_and_no_further():
    """diffusers' own list is one too long at some, such as 61, and begins again at pure noise."""
    schedule = DiffusersDenoiser(pipeline("epsilon", DDIMScheduler)).schedule
    for steps in range(1, 1001):
        scheduler, sigmas = schedule.sampler(steps)
        assert len(sigmas) == len(scheduler.timesteps) == steps
        assert (sigmas.diff() < 0).all()


@pytest.mark.parametrize("scheduler", [DDIMScheduler, DDPMScheduler])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_clean_latent_is_the_one_the_scheduler_predicts(prediction, scheduler):
    pipe, (latent, noise) = pipeline(prediction, scheduler), example()
    pipe.scheduler.set_timesteps(1000)
    scale, sigma = level(pipe)
    noisy = pipe.scheduler.add_noise(latent.expand_as(noise), noise, TIMESTEPS)
    denoised = DiffusersDenoiser(pipe)(noisy / scale, sigma, CONDITIONING)

    for one, timestep, ours in zip(noisy.split(1), TIMESTEPS, denoised.split(1), strict=True):
        out = pipe.unet(one, timestep, encoder_hidden_states=CONDITIONING["cross_attn"]).sample
        theirs = pipe.scheduler.step(out, int(timestep), one).pred_original_sample
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_loss_is_the_one_the_network_was_trained_with(prediction):
    pipe, (latent, noise) = pipeline(prediction), example()
    clean = latent.expand_as(noise)
    noisy = pipe.scheduler.add_noise(clean, noise, TIMESTEPS)
    out = pipe.unet(
        noisy, TIMESTEPS, encoder_hidden_states=CONDITIONING["cross_attn"].expand(len(noise), -1, -1)
    ).sample
    target = {
        "epsilon": noise,
        "v_prediction": pipe.scheduler.get_velocity(clean, noise, TIMESTEPS),
        "sample": clean,
    }[prediction]

    losses, _ = denoising_loss(DiffusersDenoiser(pipe), latent, CONDITIONING, noise, level(pipe)[1])

    torch.testing.assert_close(losses, F.mse_loss(out, target, reduction="none").mean((1, 2, 3)), rtol=1e-3, atol=0)


def test_the_loss_weights_are_the_known_functions_of_the_signal_to_noise_ratio():
    for prediction, expected in (
        ("epsilon", lambda snr: snr),
        ("v_prediction", lambda snr: snr + 1),
        ("sample", torch.ones_like),
    ):
        pipe = pipeline(prediction)
        snr = compute_snr(pipe.scheduler, TIMESTEPS)
        torch.testing.assert_close(DiffusersDenoiser(pipe).loss_weight(level(pipe)[1]), expected(snr))


def test_quantiles_run_evenly_over_the_timesteps_from_clean_to_noisy():
    pipe = pipeline("epsilon")
    denoiser = DiffusersDenoiser(pipe)
    torch.testing.assert_close(denoiser.sigma(TIMESTEPS / 999), level(pipe)[1], rtol=1e-4, atol=0)
    assert denoiser.sigma(torch.linspace(0, 1, 5000)).diff().min() > 0


def test_a_scheduler_that_predicts_anything_else_is_refused():
    pipe = pipeline("epsilon")
    pipe.scheduler.register_to_config(prediction_type="flow_prediction")
    with pytest.raises(ValueError, match="'flow_prediction'"):
        DiffusersDenoiser(pipe)


def test_the_embedding_is_optimized_through_a_frozen_unet():
    pipe, (latent, _) = pipeline("epsilon"), example()
    before = fingerprint(pipe.unet)
    optimized, history = optimize_embedding(DiffusersDenoiser(pipe), latent, CONDITIONING, steps=10, samples=2)
    assert history.validation_after < history.validation_before
    assert not torch.equal(optimized["cross_attn"], CONDITIONING["cross_attn"])
    assert fingerprint(pipe.unet) == before


@pytest.mark.parametrize("tune", TUNE_MODES)
def test_an_update_merged_into_the_unet_gives_the_loss_that_tuning_reported(tune):
    pipe, (latent, _) = pipeline("v_prediction"), example()
    before = fingerprint(pipe.unet)
    options = {"tune": tune, "samples": 2, "learning_rate": 1e-2}
    update, history = fine_tune(DiffusersDenoiser(pipe), latent, CONDITIONING, steps=10, **options)
    assert history.validation_after < history.validation_before
    assert fingerprint(pipe.unet) == before

    pipe.unet.load_state_dict(merged(pipe.unet.state_dict(), update))
    _, again = fine_tune(DiffusersDenoiser(pipe), latent, CONDITIONING, steps=1, **options)
    assert again.validation_before == pytest.approx(history.validation_after, rel=1e-4)


def test_checkpointing_a_unet_trains_the_same():
    pipe, (latent, _) = pipeline("epsilon"), example()
    plain, saved = (
        fine_tune(DiffusersDenoiser(pipe), latent, CONDITIONING, steps=3, samples=2, gradient_checkpointing=choice)[0]
        for choice in (False, True)
    )
    for key in plain:
        torch.testing.assert_close(plain[key], saved[key], rtol=1e-5, atol=1e-6)


def test_the_blocks_of_a_diffusers_unet_are_its_residual_and_transformer_blocks():
    assert sorted(blocks(tiny_unet())) == [
        "down_blocks.0.attentions.0",
        "down_blocks.0.resnets.0",
        "down_blocks.1.resnets.0",
        "mid_block.attentions.0",
        "mid_block.resnets.0",
        "mid_block.resnets.1",
        "up_blocks.0.resnets.0",
        "up_blocks.0.resnets.1",
        "up_blocks.1.attentions.0",
        "up_blocks.1.attentions.1",
        "up_blocks.1.resnets.0",
        "up_blocks.1.resnets.1",
    ]
