"""What this pack adds to sampling, Keep Photo, as its example workflow has it."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from imagic import interpolate
from imagic.denoiser import Conditioning
from imagic.keeping import edited_latent, reordered
from imagic.region import edit_region
from scripts import workflow

from .outcome import Outcome
from .studio import GUIDANCE, SEED, STEPS, Studio

_INTERPOLATION = workflow.inputs(workflow.load(), "C: from the photo to the target")

ETA = _INTERPOLATION["eta"]
ETAS = sorted({0.0, ETA, *map(float, _INTERPOLATION["sweep"].split(","))})
THRESHOLD = workflow.inputs(workflow.load(), "Keep the photo")["threshold"]


def sweep(
    studio: Studio,
    outcome: Outcome,
    latent: Tensor,
    optimized: Conditioning,
    target: Conditioning,
    etas: Iterable[float] = ETAS,
) -> None:
    """A picture for each eta, from a tuned model, as the example workflow draws them."""
    with studio.measured(outcome.target):
        region = edit_region(studio.denoiser, latent, optimized, target, threshold=THRESHOLD)
    for eta in etas:
        with studio.measured(outcome.sample(f"{eta:g}")):
            picture = sample_edit(studio, latent, optimized, interpolate(optimized, target, eta), region)
        outcome.pictures[f"{eta:g}"] = picture


@torch.no_grad()
def sample_edit(
    studio: Studio, latent: Tensor, optimized: Conditioning, conditioning: Conditioning, region: Tensor
) -> np.ndarray:
    """What the host's KSampler draws from a MODEL of Keep Photo."""
    scheduler = studio.scheduler
    scheduler.set_timesteps(STEPS)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(SEED))
    noisy = scheduler.add_noise(latent, noise, scheduler.timesteps[:1])
    texts = torch.cat([text["cross_attn"] for text in (studio.empty, conditioning, studio.empty, optimized)])
    for number, timestep in enumerate(scheduler.timesteps):
        alpha = scheduler.alphas_cumprod[timestep]
        photo = scheduler.add_noise(latent, reordered(noise, number), timestep.view(1))
        own = scheduler.add_noise(latent, noise, timestep.view(1))
        pair = torch.cat([noisy + photo - own, photo])
        noises = studio.unet(pair.repeat_interleave(2, 0), timestep, texts).sample
        guided = torch.lerp(noises[::2], noises[1::2], GUIDANCE)
        edited, explained = ((pair - (1 - alpha).sqrt() * guided) / alpha.sqrt()).split(1)
        clean = edited_latent(latent, edited, explained, region)
        # The scheduler takes the noise that would have led to this clean latent.
        implied = (noisy - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        noisy = scheduler.step(implied, timestep, noisy).prev_sample
    return studio.decode(noisy)
