"""What all methods share: a model, its sampler, and the steps, guidance and seed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from demo import load
from demo.scenes import SIZE
from imagic.denoiser import Conditioning
from imagic.diffusers import DiffusersDenoiser, pictures
from scripts import workflow
from tests.imagic.gaussian import merged

from .cost import Cost, Meter

_SAMPLER = workflow.inputs(workflow.load(), "Sample each eta")

# What the example workflow has, and therefore what users get.
STEPS, GUIDANCE, SEED = _SAMPLER["steps"], _SAMPLER["cfg"], _SAMPLER["seed"]

PLAIN_STEPS = 50  # of the sample that wall time is compared with

_DEMO = Path(load.__file__).parent
# By name: the folder of its weights, and what in `demo.load` makes its pipeline.
MODELS = {"demo": (_DEMO / "model", "pipeline"), "flow": (_DEMO / "flow_model", "flow_pipeline")}


def available() -> list[str]:
    """The models whose weights are there."""
    return [name for name, (folder, _) in MODELS.items() if any(folder.rglob("*.safetensors"))]


class Studio:
    """A model with everything an edit needs, each as one call on uint8 pictures [128, 128, 3] or latents.

    Latents and noise levels are the denoiser's. Its deterministic sampler is Euler's method on what the denoiser
    predicts, from pure noise to none: for a diffusion model that is DDIM (arXiv 2010.02502, Eq. 14).
    """

    def __init__(self, name: str = "demo"):
        self.pipeline = getattr(load, MODELS[name][1])()
        self.denoiser = DiffusersDenoiser(self.pipeline, self._latent_size())
        self.meter = Meter()
        self.meter.watch(self.network)
        self.sampler = "Euler" if self.denoiser.flow else "DDIM"
        self.empty = self.text("")

    def _latent_size(self) -> tuple[int, int]:
        return tuple(self.encode(np.zeros((SIZE, SIZE, 3), np.uint8)).shape[-2:])

    @property
    def network(self) -> torch.nn.Module:
        return self.denoiser.network

    def measured(self, cost: Cost, weight_gradients: bool = False) -> AbstractContextManager:
        return self.meter.measured(cost, weight_gradients)

    def encode(self, picture: np.ndarray) -> Tensor:
        return pictures.encode(self.pipeline, Image.fromarray(picture), 1)

    def decode(self, latent: Tensor) -> np.ndarray:
        return np.array(pictures.decode(self.pipeline, latent))

    def text(self, text: str) -> Conditioning:
        return self.denoiser.family.texts(text)[0]

    def levels(self, steps: int = STEPS, strength: float = 1.0) -> Tensor:
        """The noise levels of `steps` steps and the end, [steps + 1].

        Args:
            strength: KSampler's denoise: the steps go over this last part of the schedule.
        """
        # The schedule for so many steps on its last part; int() as the host has it.
        _, sigmas = self.denoiser.schedule.sampler(int(steps / strength))
        return torch.cat([sigmas[-steps:], sigmas.new_zeros(1)])

    def noise(self, latent: Tensor, seed: int = SEED) -> Tensor:
        return torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed))

    def sample(
        self, conditioning: Conditioning, latent: Tensor, *, strength: float = 1.0, steps: int = STEPS
    ) -> np.ndarray:
        """Add noise to the photo and sample, as the host's KSampler does with the photo as its latent image.

        Args:
            strength: KSampler's denoise. At 1 the photo is all but gone in the noise.
        """
        levels = self.levels(steps, strength)
        noisy = self.denoiser.add_noise(latent, self.noise(latent), levels[:1])
        return self.decode(self.denoise(noisy, conditioning, levels))

    def denoise(self, noisy: Tensor, conditioning: Conditioning, levels: Tensor, guidance: float = GUIDANCE) -> Tensor:
        """The clean latent from `noisy`, which is at the first of the levels."""
        for sigma, following in pairwise(levels):
            clean = self.predict(noisy, sigma, conditioning, guidance)
            noisy = noisy + (following - sigma) * (noisy - clean) / sigma
        return noisy

    @torch.no_grad()
    def predict(self, noisy: Tensor, sigma: Tensor, conditioning: Conditioning, guidance: float = GUIDANCE) -> Tensor:
        """The clean latent behind `noisy` at one level, with classifier-free guidance."""
        texts = [self.empty, conditioning] if guidance != 1 else [conditioning]
        together = {name: torch.cat([text[name] for text in texts]) for name in conditioning}
        views = noisy.repeat(len(texts), 1, 1, 1)
        clean = self.denoiser(views, sigma.expand(len(views)), together)
        return torch.lerp(clean[:1], clean[-1:], guidance)

    def invert(self, latent: Tensor, conditioning: Conditioning, steps: int = STEPS) -> Tensor:
        """The noisy latent from which the sampler without guidance comes back to `latent` (arXiv 2105.05233, App. F).

        What the network says at a level is taken for what it said on the way there.
        """
        levels = self.levels(steps).flip(0)
        norms = self.denoiser.schedule.norm(levels)
        for i, (sigma, following) in enumerate(pairwise(levels)):
            there = latent * norms[i + 1] / norms[i]
            clean = self.predict(there, following, conditioning, guidance=1)
            latent = latent + (following - sigma) * (there - clean) / following
        return latent

    @contextmanager
    def tuned(self, update: dict[str, Tensor]) -> Iterator[None]:
        """Inside, the model has stage B's update."""
        before = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        try:
            self.network.load_state_dict(merged(before, update))
            yield
        finally:
            self.network.load_state_dict(before)

    def plain_sample(self) -> Cost:
        """What one ordinary text-to-image sample of 50 steps with guidance costs here and now."""
        cost = Cost()
        latent = self.encode(np.zeros((SIZE, SIZE, 3), np.uint8))
        with self.measured(cost):
            self.sample(self.text("a brown dog sitting in the snow"), latent, steps=PLAIN_STEPS)
        return cost
