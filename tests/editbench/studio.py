"""What all methods share: the demo model, the sampler, its steps, guidance and seed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from torch import Tensor

from demo import load
from demo.training.data import to_pixels, to_tensor
from imagic.denoiser import Conditioning
from imagic.diffusers import DiffusersDenoiser
from scripts import workflow
from tests.imagic.gaussian import merged

from .cost import Cost, Meter

_SAMPLER = workflow.inputs(workflow.load(), "Sample each eta")

# What the example workflow has, and therefore what users get.
STEPS, GUIDANCE, SEED = _SAMPLER["steps"], _SAMPLER["cfg"], _SAMPLER["seed"]

PLAIN_STEPS = 50  # of the sample that wall time is compared with


class Studio:
    """The demo model with everything an edit needs, each as one call on uint8 pictures [128, 128, 3] or latents."""

    def __init__(self):
        self.pipeline = load.pipeline()
        # DDIM from pure noise to no noise, as the host's "ddim" with schedule "normal" goes.
        ends = {"timestep_spacing": "trailing", "set_alpha_to_one": True}
        self.scheduler = DDIMScheduler.from_config(self.pipeline.scheduler.config, **ends)
        self.inverse_scheduler = DDIMInverseScheduler.from_config(self.scheduler.config)
        self.denoiser = DiffusersDenoiser(self.pipeline)
        self.meter = Meter()
        self.meter.watch(self.unet)
        self.empty = self.text("")

    @property
    def unet(self) -> torch.nn.Module:
        return self.denoiser.network

    def measured(self, cost: Cost, weight_gradients: bool = False) -> AbstractContextManager:
        return self.meter.measured(cost, weight_gradients)

    @torch.no_grad()
    def encode(self, picture: np.ndarray) -> Tensor:
        return self.pipeline.vae.encode(to_tensor(picture[None])).latents.contiguous()

    @torch.no_grad()
    def decode(self, latent: Tensor) -> np.ndarray:
        return to_pixels(self.pipeline.vae.decode(latent).sample)[0]

    @torch.no_grad()
    def text(self, text: str) -> Conditioning:
        return {"cross_attn": self.pipeline.text_encoder(self.pipeline.tokenizer(text).input_ids).last_hidden_state}

    def sample(
        self, conditioning: Conditioning, latent: Tensor, *, strength: float = 1.0, steps: int = STEPS
    ) -> np.ndarray:
        """Add noise to the photo and sample, as the host's KSampler does with the photo as its latent image.

        Args:
            strength: KSampler's denoise: `steps` steps over this last part of the schedule. At 1 the photo is all but
                gone in the noise.
        """
        # The schedule for so many steps on its last part; int() as the host has it.
        self.scheduler.set_timesteps(int(steps / strength))
        timesteps = self.scheduler.timesteps[-steps:]
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(SEED))
        return self.decode(self.denoise(self.scheduler.add_noise(latent, noise, timesteps[:1]), conditioning, steps))

    @torch.no_grad()
    def denoise(self, noisy: Tensor, conditioning: Conditioning, steps: int, guidance: float = GUIDANCE) -> Tensor:
        """The clean latent from `noisy`, which is at the first of the scheduler's last `steps` timesteps."""
        texts = [self.empty, conditioning] if guidance != 1 else [conditioning]
        context = torch.cat([text["cross_attn"] for text in texts])
        for timestep in self.scheduler.timesteps[-steps:]:
            noises = self.unet(noisy.repeat(len(texts), 1, 1, 1), timestep, context).sample
            noise = torch.lerp(noises[:1], noises[-1:], guidance)
            noisy = self.scheduler.step(noise, timestep, noisy).prev_sample
        return noisy

    @torch.no_grad()
    def invert(self, latent: Tensor, conditioning: Conditioning, steps: int = STEPS) -> Tensor:
        """The noise from which DDIM without guidance comes back to `latent` (arXiv 2105.05233, App. F)."""
        self.inverse_scheduler.set_timesteps(steps)
        for timestep in self.inverse_scheduler.timesteps:
            noise = self.unet(latent, timestep, conditioning["cross_attn"]).sample
            latent = self.inverse_scheduler.step(noise, timestep, latent).prev_sample
        return latent

    @contextmanager
    def tuned(self, update: dict[str, Tensor]) -> Iterator[None]:
        """Inside, the model has stage B's update."""
        before = {name: tensor.clone() for name, tensor in self.unet.state_dict().items()}
        try:
            self.unet.load_state_dict(merged(before, update))
            yield
        finally:
            self.unet.load_state_dict(before)

    def plain_sample(self) -> Cost:
        """What one ordinary text-to-image sample of 50 steps with guidance costs here and now."""
        cost = Cost()
        with self.measured(cost):
            self.sample(self.text("a brown dog sitting in the snow"), torch.zeros(1, 4, 16, 16), steps=PLAIN_STEPS)
        return cost
