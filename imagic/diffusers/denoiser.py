"""A diffusers pipeline as a `Denoiser`: the second implementation, which needs no ComfyUI."""

from collections.abc import Sequence

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from ..denoiser import Conditioning
from .families import family_of
from .schedule import Flow, schedule_of


class DiffusersDenoiser:
    """A text-to-image pipeline: Stable Diffusion 1.x, 2.x, XL and 3.x, Flux, Qwen-Image.

    Latents are in the network's scale (after the autoencoder's scaling and shift), noise is added as samplers and
    ComfyUI have it, see `schedule`. The pipeline's network is set to require no gradients.

    Args:
        size: of latents, height and width; some schedulers shift their levels by it. Default: the pipeline's own.

    Raises:
        ValueError: Imagic does not know the pipeline's network or its scheduler.
    """

    overwrites = False

    def __init__(self, pipeline: DiffusionPipeline, size: Sequence[int] | None = None):
        self.family = family_of(pipeline)
        self.network = self.family.network.requires_grad_(False)
        self.device: torch.device = self.family.device
        self.dtype: torch.dtype = self.network.dtype
        height, width = size or (getattr(pipeline, "default_sample_size", 128),) * 2
        self.schedule = schedule_of(pipeline.scheduler, (height // 2) * (width // 2))
        self.flow = isinstance(self.schedule, Flow)

    def sigma(self, quantile: Tensor) -> Tensor:
        return self.schedule.sigma(quantile.to(self.device))

    def add_noise(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return latent * _like(self.schedule.signal(sigma), noise) + noise * _like(sigma, noise)

    def loss_weight(self, sigma: Tensor) -> Tensor:
        return self.schedule.coefficients(sigma)[1].square().reciprocal()

    def __call__(self, noisy: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        text = {name: tensor.expand(len(noisy), *tensor.shape[1:]) for name, tensor in conditioning.items()}
        text = {name: tensor.to(self.dtype) if tensor.is_floating_point() else tensor for name, tensor in text.items()}
        scaled = (noisy / _like(self.schedule.norm(sigma), noisy)).to(self.dtype)
        out = self.family.predict(scaled, self.schedule.timestep(sigma), text).float()
        keep, change = self.schedule.coefficients(sigma)
        return _like(keep, noisy) * noisy + _like(change, noisy) * out


def _like(values: Tensor, latent: Tensor) -> Tensor:
    return values.view(-1, *[1] * (latent.ndim - 1))
