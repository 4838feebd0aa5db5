"""The training objective."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .denoiser import Conditioning, Denoiser, stratified_quantiles
from .levels import training_levels

# Latent positions per forward and backward. Enough to keep a GPU busy, little enough to fit where sampling fits: no
# network has more tokens than positions, and a single sample at 1024 px has twice as many of them.
POSITIONS_PER_FORWARD = 8192


def denoising_loss(
    denoiser: Denoiser, latent: Tensor, conditioning: Conditioning, noise: Tensor, sigma: Tensor
) -> tuple[Tensor, Tensor]:
    """The model's own training loss (arXiv 2210.09276, Eq. 2), in its native parameterisation.

    Args:
        latent: the photo, [1, C, ...], in the model's scale.
        noise: standard normal, [N, C, ...].
        sigma: noise levels, [N].

    Returns:
        The mean squared error of each sample, [N], and the predicted clean latents, [N, C, ...].
    """
    denoised = denoiser(denoiser.add_noise(latent, noise, sigma), sigma, conditioning)
    error = (denoised.float() - latent).square().flatten(1).mean(1)
    return denoiser.loss_weight(sigma) * error, denoised


def denoising_losses(
    denoiser: Denoiser, latent: Tensor, conditioning: Conditioning, noise: Tensor, sigma: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """`denoising_loss` in parts that fit into memory: many samples a step then cost time, not memory."""
    for part in in_parts(latent, noise, sigma):
        yield denoising_loss(denoiser, latent, conditioning, *part)


def in_parts(latent: Tensor, noise: Tensor, sigma: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Noise [N, C, ...] and levels [N] in parts of `samples_per_forward`."""
    size = samples_per_forward(latent)
    return zip(noise.split(size), sigma.split(size), strict=True)


def samples_per_forward(latent: Tensor) -> int:
    """How many noisy copies of `latent` the network sees at a time: two at 512 px of Stable Diffusion, one at 1024."""
    return max(1, POSITIONS_PER_FORWARD // math.prod(latent.shape[2:]))


class NoiseSampler:
    """Draws (noise, level) pairs for the steps of one run, from a CPU generator so that every device sees the same."""

    def __init__(self, latent: Tensor, samples: int, seed: int):
        self.latent, self.samples = latent, samples
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, denoiser: Denoiser) -> tuple[Tensor, Tensor]:
        """Noise [samples, C, ...] and levels [samples], ascending from clean to noisy."""
        quantiles = stratified_quantiles(self.samples, self.generator)
        noise = torch.randn((self.samples, *self.latent.shape[1:]), generator=self.generator)
        return noise.to(self.latent.device), training_levels(denoiser, quantiles).to(self.latent.device)
