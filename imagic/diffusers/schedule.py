"""The noise levels of a diffusers scheduler: how a network was trained, and how it is sampled without chance."""

from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler, SchedulerMixin
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from torch import Tensor

PREDICTIONS = ("epsilon", "v_prediction", "sample")


class Diffusion:
    """Of schedulers with `alphas_cumprod`, in the variance-exploding form: noisy = clean + sigma * noise.

    Raises:
        ValueError: the prediction type is none of `PREDICTIONS`.
    """

    def __init__(self, scheduler: SchedulerMixin):
        self.config, self.prediction_type = scheduler.config, scheduler.config.prediction_type
        if self.prediction_type not in PREDICTIONS:
            raise ValueError(f"The scheduler predicts {self.prediction_type!r}: use {', '.join(PREDICTIONS)}.")
        # Zero terminal SNR ends at an alpha of 0; the least one that samplers of this form use.
        alphas = scheduler.alphas_cumprod.float().cpu().clamp_min(2**-24)
        self.log_sigmas = ((1 - alphas) / alphas).sqrt().log()

    def sigma(self, quantile: Tensor) -> Tensor:
        return _between(self.log_sigmas.to(quantile.device), quantile).exp()

    def signal(self, sigma: Tensor) -> Tensor:
        """The factor of the clean latent in a noisy one."""
        return torch.ones_like(sigma)

    def norm(self, sigma: Tensor) -> Tensor:
        """What a noisy latent is divided by to be the network's input, whose variance is one."""
        return (sigma.square() + 1).sqrt()

    def timestep(self, sigma: Tensor) -> Tensor:
        # The network knows whole timesteps only: take the nearest, as samplers do.
        return (sigma.log() - self.log_sigmas.to(sigma.device)[:, None]).abs().argmin(0)

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """a, b [N] with denoised = a * noisy + b * out."""
        variance = sigma.square() + 1
        if self.prediction_type == "epsilon":
            return torch.ones_like(sigma), -sigma
        if self.prediction_type == "v_prediction":
            return 1 / variance, -sigma / variance.sqrt()
        return torch.zeros_like(sigma), torch.ones_like(sigma)

    def sampler(self, steps: int) -> tuple[SchedulerMixin, Tensor]:
        """DDIM from pure noise to none (arXiv 2010.02502) over the same training levels, and its sigmas [steps].

        It steps on latents divided by `norm`, and takes clean latents, see `step_input`.
        """
        changes = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "prediction_type": "sample"}
        scheduler = DDIMScheduler.from_config(self.config, clip_sample=False, thresholding=False, **changes)
        scheduler.set_timesteps(steps)
        scheduler.timesteps = scheduler.timesteps[:steps]  # rounding makes one more of some numbers, such as 61
        return scheduler, self.log_sigmas[scheduler.timesteps].exp()

    def step_input(self, noisy: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
        """What `sampler` takes for a clean latent that was found behind `noisy`."""
        return clean


class Flow:
    """Of rectified flow: noisy = (1 - sigma) * clean + sigma * noise, and the network predicts noise - clean.

    Args:
        positions: of a latent, in the network's patches; some schedulers shift their levels by it.
    """

    def __init__(self, scheduler: SchedulerMixin, positions: int):
        self.config = scheduler.config
        self.mu = calculate_shift(
            positions,
            self.config.get("base_image_seq_len", 256),
            self.config.get("max_image_seq_len", 4096),
            self.config.get("base_shift", 0.5),
            self.config.get("max_shift", 1.15),
        )
        _, sigmas = self.sampler(self.config.num_train_timesteps)
        self.sigmas = sigmas.flip(0)

    def sigma(self, quantile: Tensor) -> Tensor:
        return _between(self.sigmas.to(quantile.device), quantile)

    def signal(self, sigma: Tensor) -> Tensor:
        return 1 - sigma

    def norm(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma * self.config.num_train_timesteps

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(sigma), -sigma

    def sampler(self, steps: int) -> tuple[SchedulerMixin, Tensor]:
        """Euler's method from pure noise to none over the scheduler's own levels, and its sigmas [steps]."""
        changes: dict[str, Any] = {"stochastic_sampling": False}
        if steps == 1 and self.config.get("shift_terminal"):
            changes["shift_terminal"] = None  # the last level cannot be stretched to it, since it is the first
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(self.config, **changes)
        shift = {"mu": self.mu} if self.config.get("use_dynamic_shifting") else {}
        scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), **shift)
        return scheduler, scheduler.sigmas[:-1]

    def step_input(self, noisy: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
        return (noisy - clean) / sigma


def schedule_of(scheduler: SchedulerMixin, positions: int) -> Diffusion | Flow:
    """The schedule of a pipeline's scheduler, which itself is only read.

    Raises:
        ValueError: it is neither of the diffusion nor of the flow kind, or predicts something unknown.
    """
    name = type(scheduler).__name__
    if name.startswith("FlowMatch"):
        return Flow(scheduler, positions)
    if hasattr(scheduler, "alphas_cumprod"):
        return Diffusion(scheduler)
    raise ValueError(
        f"Imagic does not know the noise levels of {name}: give the pipeline a DDIM or FlowMatch scheduler."
    )


def _between(levels: Tensor, quantile: Tensor) -> Tensor:
    """Ascending `levels` at quantiles in 0..1."""
    position = quantile * (len(levels) - 1)
    low, high = position.floor().long(), position.ceil().long()
    return torch.lerp(levels[low], levels[high], position.frac())
