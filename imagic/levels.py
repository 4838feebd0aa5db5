"""Noise levels by their noise-to-signal ratio, so that a level means the same to every model and to every shift of it.

A sampler's schedule may be shifted by the resolution or by a node; what a picture loses at a level does not change by
that. So levels are asked for by the ratio of the noise's factor in a noisy latent to that of the clean one.
"""

import torch
from torch import Tensor

from .denoiser import Denoiser

BISECTIONS = 32  # more than fp32 can tell apart


def noise_to_signal(denoiser: Denoiser, sigma: Tensor) -> Tensor:
    """The ratio [N] of noise to signal at levels [N], by what the model's own `add_noise` makes of one and zero."""
    zero, one = (torch.full((len(sigma), 1, 1, 1), value, device=sigma.device) for value in (0.0, 1.0))
    return (denoiser.add_noise(zero, one, sigma) / denoiser.add_noise(one, zero, sigma)).flatten()


def sigma_at(denoiser: Denoiser, ratio: Tensor) -> Tensor:
    """The levels [N] at noise-to-signal ratios [N], or the nearest that the model has; costs no evaluation."""
    low, high = torch.full_like(ratio, 1e-6), torch.full_like(ratio, 1 - 1e-6)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        sigma = denoiser.sigma(middle)
        noisier = noise_to_signal(denoiser, sigma).to(ratio) > ratio
        low, high = low.where(noisier, middle), middle.where(noisier, high)
    return sigma


def standard_levels(denoiser: Denoiser, quantile: Tensor) -> Tensor:
    """The levels [N] that Stable Diffusion 1.x has at quantiles [N] of its schedule; 0 is clean, 1 is noise.

    Its variance grows as the square of a linear function of time from 0.00085 to 0.012 (arXiv 2112.10752), here
    integrated over a thousand steps: ratios of 0.83, 1.6 and 5 at 0.3, 0.5 and 0.8.
    """
    first, last = 0.00085**0.5, 0.012**0.5
    slope = last - first
    log = 1000 * (first**2 * quantile + first * slope * quantile**2 + slope**2 * quantile**3 / 3)
    return sigma_at(denoiser, log.expm1().sqrt())


def training_levels(denoiser: Denoiser, quantile: Tensor) -> Tensor:
    """The levels [N] at quantiles [N] of those that the model was trained on, whatever it is sampled with.

    Rectified flows: logit-normal around as much noise as signal, with deviation 1, as Stable Diffusion 3 and those
    after it (arXiv 2403.03206, Sec. 3.1). All others: uniform over the model's schedule.
    """
    return sigma_at(denoiser, torch.special.ndtri(quantile).exp()) if denoiser.flow else denoiser.sigma(quantile)
