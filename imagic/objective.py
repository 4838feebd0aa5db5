"""The training objective and the fixed set it is reported on."""

import torch
from torch import Tensor

from .denoiser import Conditioning, Denoiser, stratified_quantiles


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


class NoiseSampler:
    """Draws (noise, level) pairs for the steps of one run, from a CPU generator so that every device sees the same."""

    def __init__(self, latent: Tensor, samples: int, seed: int):
        self.latent, self.samples = latent, samples
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, denoiser: Denoiser) -> tuple[Tensor, Tensor]:
        """Noise [samples, C, ...] and levels [samples], ascending from clean to noisy."""
        quantiles = stratified_quantiles(self.samples, self.generator)
        noise = torch.randn((self.samples, *self.latent.shape[1:]), generator=self.generator)
        return noise.to(self.latent.device), denoiser.sigma(quantiles).to(self.latent.device)


class Validation:
    """A fixed set of (noise, level) pairs, the levels at the midpoints of equal strata.

    A training loss jumps with the levels drawn; this one moves only when the model or the embedding does, so it can be
    compared between steps, settings and runs.
    """

    def __init__(self, denoiser: Denoiser, latent: Tensor, pairs: int = 8, seed: int = 0x1A61C):
        generator = torch.Generator().manual_seed(seed)
        self.latent, self.pairs = latent, pairs
        self.noise = torch.randn((pairs, *latent.shape[1:]), generator=generator).to(latent.device)
        self.sigma = denoiser.sigma((torch.arange(pairs) + 0.5) / pairs).to(latent.device)

    @torch.no_grad()
    def loss(self, denoiser: Denoiser, conditioning: Conditioning, batch: int) -> float:
        """Mean loss over the set, evaluated `batch` pairs at a time so that it needs no more memory than training."""
        total = 0.0
        for noise, sigma in zip(self.noise.split(batch), self.sigma.split(batch), strict=True):
            total += float(denoising_loss(denoiser, self.latent, conditioning, noise, sigma)[0].sum())
        return total / self.pairs
