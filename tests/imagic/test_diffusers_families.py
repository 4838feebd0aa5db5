"""Every family is called, and sampled, as its own diffusers pipeline does it."""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMPipeline,
    EDMEulerScheduler,
    FluxKontextPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from PIL import Image

from imagic.diffusers import DiffusersDenoiser, EmbeddingSettings, TuningSettings, instant, pictures, tune
from imagic.diffusers.families import family_of
from imagic.objective import denoising_loss

from .pipelines import BETAS, FAMILIES, build, flux, stable_diffusion, unet

TEXT, STEPS, SIZE = "a brown dog", 3, 32
# Qwen-Image's pipeline also rescales what guidance makes, so the two are held against each other without guidance.
GUIDANCE = {"Flux dev": 3.0, "Flux schnell": 1.0, "Qwen-Image": 1.0}
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_plain_sampling_gives_the_pipelines_own_picture(name):
    """From the same noise: hence texts, pooled texts, ids, packing, timesteps, shifts and scales are the pipeline's."""
    pipeline, guidance = build(name), GUIDANCE.get(name, 4.0)
    denoiser = DiffusersDenoiser(pipeline, (SIZE // 2, SIZE // 2))
    denoiser.family.guidance = guidance
    schedule, (text, empty) = denoiser.schedule, denoiser.family.texts(TEXT)
    scheduler, sigmas = schedule.sampler(STEPS)
    latent = pictures.encode(pipeline, PHOTO, 2)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(0))
    sample = noise * (sigmas[0] / schedule.norm(sigmas[:1]))
    for timestep, sigma in zip(scheduler.timesteps, sigmas.split(1), strict=True):
        noisy = sample * schedule.norm(sigma)
        clean = denoiser(noisy, sigma, text)
        if empty and guidance != 1:
            clean = torch.lerp(denoiser(noisy, sigma, empty), clean, guidance)
        sample = scheduler.step(schedule.step_input(noisy, clean, sigma), timestep, sample).prev_sample

    options = {"true_cfg_scale" if name == "Qwen-Image" else "guidance_scale": guidance}
    if denoiser.family.part == "unet":
        ends = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False, "thresholding": False}
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, **ends)
        # The same noise at the level of the schedule's first step, which is not all noise.
        start = noise * (1 - pipeline.scheduler.alphas_cumprod[-1]).sqrt()
    else:
        options["sigmas"] = np.linspace(1, 1 / STEPS, STEPS)
        start = noise if name == "SD3" else pipeline._pack_latents(noise, 1, 16, *noise.shape[-2:])
    size = {"height": SIZE, "width": SIZE}
    theirs = pipeline(TEXT, num_inference_steps=STEPS, latents=start, output_type="np", **size, **options).images[0]
    ours = np.asarray(pictures.decode(pipeline, sample)) / 255
    assert np.abs(ours - theirs).max() < 1 / 255
    assert ours.std() > 0.05


@pytest.mark.parametrize("name", ["SD3", "Flux dev", "Qwen-Image"])
def test_the_loss_of_a_flow_is_that_of_its_training(name):
    """The mean squared error of the velocity, noise - clean."""
    pipeline = build(name)
    denoiser = DiffusersDenoiser(pipeline)
    latent, text = pictures.encode(pipeline, PHOTO, 2), denoiser.family.texts(TEXT)[0]
    sigma = denoiser.sigma(torch.tensor([0.02, 0.5, 1.0]))
    noise = torch.randn(3, *latent.shape[1:])
    losses, denoised = denoising_loss(denoiser, latent, text, noise, sigma)
    level = sigma.view(-1, *[1] * (latent.ndim - 1))
    velocity = (((1 - level) * latent + level * noise) - denoised) / level
    expected = (velocity - (noise - latent)).square().flatten(1).mean(1)
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_levels_are_the_schedulers_from_clean_to_noisy(name):
    pipeline = build(name)
    denoiser = DiffusersDenoiser(pipeline)
    sigma = denoiser.sigma(torch.linspace(0, 1, 500))
    assert (sigma.diff() > 0).all()
    assert 0 < sigma[0] < 0.05
    if denoiser.family.part == "transformer":
        assert sigma[-1] == pytest.approx(1)
        # Of a picture of 1024 pixels: shift 3, e^1.15, none, and e^0.69 stretched to end at 0.02.
        middle = {"SD3": 0.75, "Flux dev": 0.76, "Flux schnell": 0.5, "Qwen-Image": 0.673}[name]
        assert sigma[250] == pytest.approx(middle, abs=2e-3)


def test_zero_terminal_snr_has_finite_levels():
    pipeline = stable_diffusion(DDIMScheduler(**BETAS, clip_sample=False, rescale_betas_zero_snr=True))
    denoiser = DiffusersDenoiser(pipeline)
    assert denoiser.sigma(torch.tensor([0.999999])).isfinite()
    assert denoiser.loss_weight(denoiser.sigma(torch.tensor([0.5, 1.0]))).isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_picture_goes_to_the_latent_that_the_pipeline_decodes(name):
    pipeline = build(name)
    family = family_of(pipeline)
    wide = PHOTO.resize((70, 35))
    latent = pictures.encode(pipeline, wide, family.multiple)
    assert pictures.decode(pipeline, latent).size == ((68, 32) if family.multiple == 2 else (70, 34))
    # By the definition of each autoencoder's config.
    vae, config = pipeline.vae, pipeline.vae.config
    pixels = torch.randn(1, 3, 8, 8)
    raw = vae.encode(pixels.unsqueeze(2) if name == "Qwen-Image" else pixels).latent_dist.mode()
    scale, shift = pictures._scale_and_shift(vae, raw)
    if name == "Qwen-Image":
        mean, std = (torch.tensor(config[key]).view(1, -1, 1, 1, 1) for key in ("latents_mean", "latents_std"))
        expected = (raw - mean) / std
    else:
        expected = (raw - (config.get("shift_factor") or 0)) * config.scaling_factor
    torch.testing.assert_close((raw - shift) * scale, expected)


class OwnUNet(UNet2DConditionModel):
    """As somebody may have derived it."""


def compiled(pipeline, part):
    pipeline.register_modules(**{part: torch.compile(getattr(pipeline, part), backend="eager")})


def compiled_in_place(pipeline, part):
    getattr(pipeline, part).compile(backend="eager")


def derived(pipeline, part):
    getattr(pipeline, part).__class__ = OwnUNet


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Stable Diffusion 1", compiled),
        ("Stable Diffusion 1", compiled_in_place),
        ("Stable Diffusion 1", derived),
        ("SDXL", derived),
        ("Flux dev", compiled),
    ],
)
def test_a_compiled_or_derived_network_is_of_its_family(name, change):
    """And gives the same edit."""
    short = {"embedding": EmbeddingSettings(steps=1), "tuning": TuningSettings(steps=1)}
    expected = tune(build(name), PHOTO, TEXT, **short).sample(num_inference_steps=2)
    pipeline = build(name)
    change(pipeline, family_of(pipeline).part)
    edit = tune(pipeline, PHOTO, TEXT, **short)
    assert not any("_orig_mod" in layer for layer in edit.update)
    difference = np.asarray(edit.sample(num_inference_steps=2)).astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_one_step_draws_a_picture(name):
    """Qwen-Image's scheduler stretches its levels so that the last is a given one; a single level stays where it is."""
    picture = instant(build(name), PHOTO, TEXT).sample(prompt="a blue cat", num_inference_steps=1)
    assert np.asarray(picture).std() > 1


def test_a_compiled_autoencoder_encodes_as_before():
    pipeline = build("Stable Diffusion 1")
    expected = pictures.encode(pipeline, PHOTO, 1)
    pipeline.register_modules(vae=torch.compile(pipeline.vae, backend="eager"))
    torch.testing.assert_close(pictures.encode(pipeline, PHOTO, 1), expected)


def inpainting():
    pipeline = stable_diffusion()
    pipeline.register_modules(unet=unet(in_channels=9))
    return pipeline


def editing():
    parts = {name: part for name, part in flux().components.items() if part is not None}
    return FluxKontextPipeline(**parts)


def guided_by_the_timestep():
    pipeline = stable_diffusion()
    pipeline.register_modules(unet=unet(time_cond_proj_dim=8))
    return pipeline


def quantized():
    pipeline = stable_diffusion()
    weight = pipeline.unet.conv_in.weight
    pipeline.unet.conv_in.weight = torch.nn.Parameter(weight.to(torch.int8), requires_grad=False)
    return pipeline


def without_text():
    blocks = {"down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"], "block_out_channels": [8]}
    return DDPMPipeline(UNet2DModel(sample_size=8, norm_num_groups=4, **blocks), DDIMScheduler())


def edm():
    return stable_diffusion(EDMEulerScheduler())


@pytest.mark.parametrize(
    ("pipeline", "sentence"),
    [
        (without_text, r"does not know the network of DDPMPipeline: use a text-to-image pipeline of .* Qwen-Image\.$"),
        (inpainting, "StableDiffusionPipeline takes a further picture as input"),
        (editing, "FluxKontextPipeline takes a further picture as input: use the text-to-image pipeline"),
        (guided_by_the_timestep, "asks for time_cond_proj_dim, which Imagic cannot give it"),
        (quantized, "are quantized: load it in fp16, bf16 or fp32"),
        (edm, "does not know the noise levels of EDMEulerScheduler"),
    ],
)
def test_what_is_not_supported_is_refused_in_one_sentence(pipeline, sentence):
    with pytest.raises(ValueError, match=sentence):
        DiffusersDenoiser(pipeline())


def test_a_diffusers_that_calls_the_network_otherwise_is_named_with_the_first_that_does_not(monkeypatch):
    monkeypatch.setattr("diffusers.__version__", "0.31.0")
    assert DiffusersDenoiser(build("SD3"))
    for name, since in (("Flux dev", "0.32"), ("Qwen-Image", "0.37")):
        with pytest.raises(ValueError, match=rf"^diffusers 0\.31\.0 is too old for \w+: install {since} or newer\.$"):
            DiffusersDenoiser(build(name))


def test_a_photo_too_small_for_the_network_is_refused():
    with pytest.raises(ValueError, match=r"^The photo is 3 x 40: it needs at least 4 x 4 pixels\.$"):
        tune(build("SD3"), PHOTO.resize((3, 40)), TEXT)


def test_full_weights_are_refused():
    with pytest.raises(ValueError, match=r"^An edit is kept as a LoRA: tune attention by imagic\.fine_tune itself\.$"):
        TuningSettings(tune="attention")
