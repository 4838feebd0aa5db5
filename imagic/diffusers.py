"""A diffusers pipeline as a `Denoiser`: the second implementation, and the way to use Imagic without ComfyUI."""

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from .denoiser import Conditioning


class DiffusersDenoiser:
    """A pipeline with a `unet` and a scheduler that has `alphas_cumprod` (Stable Diffusion 1.x and 2.x).

    Latents are in the UNet's scale (after `vae.config.scaling_factor`), noise in the variance-exploding form
    noisy = clean + sigma * noise with sigma^2 = (1 - alpha) / alpha, as samplers and ComfyUI have it.

    The pipeline's UNet is set to require no gradients.

    Raises:
        ValueError: the scheduler's prediction type is none of epsilon, v_prediction and sample.
    """

    overwrites = False

    def __init__(self, pipeline: DiffusionPipeline):
        self.network = pipeline.unet.requires_grad_(False)
        self.device, self.dtype = self.network.device, self.network.dtype
        self.prediction_type = pipeline.scheduler.config.prediction_type
        if self.prediction_type not in ("epsilon", "v_prediction", "sample"):
            raise ValueError(f"The scheduler predicts {self.prediction_type!r}: use epsilon, v_prediction or sample.")
        alphas = pipeline.scheduler.alphas_cumprod.to(self.device, torch.float32)
        self.log_sigmas = ((1 - alphas) / alphas).sqrt().log()

    def sigma(self, quantile: Tensor) -> Tensor:
        position = quantile.to(self.device) * (len(self.log_sigmas) - 1)
        low, high = position.floor().long(), position.ceil().long()
        return torch.lerp(self.log_sigmas[low], self.log_sigmas[high], position.frac()).exp()

    def add_noise(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return latent + noise * _like(sigma, noise)

    def loss_weight(self, sigma: Tensor) -> Tensor:
        return self._coefficients(sigma)[1].square().reciprocal()

    def __call__(self, noisy: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        # The network knows whole timesteps only: take the nearest, as samplers do.
        timestep = (sigma.log() - self.log_sigmas[:, None]).abs().argmin(0)
        tokens = conditioning["cross_attn"]
        out = self.network(
            (noisy / _like(sigma.square() + 1, noisy).sqrt()).to(self.dtype),
            timestep,
            encoder_hidden_states=tokens.expand(len(noisy), -1, -1).to(self.dtype),
        ).sample.float()
        keep, change = self._coefficients(sigma)
        return _like(keep, noisy) * noisy + _like(change, noisy) * out

    def _coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """a, b [N] with denoised = a * noisy + b * out."""
        variance = sigma.square() + 1
        if self.prediction_type == "epsilon":
            return torch.ones_like(sigma), -sigma
        if self.prediction_type == "v_prediction":
            return 1 / variance, -sigma / variance.sqrt()
        return torch.zeros_like(sigma), torch.ones_like(sigma)


def _like(values: Tensor, latent: Tensor) -> Tensor:
    return values.view(-1, *[1] * (latent.ndim - 1))
