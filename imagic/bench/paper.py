"""Imagic as published for Stable Diffusion (arXiv 2210.09276, Sec. 4), for a diffusers pipeline.

Embedding: 1000 steps of Adam. Then all weights of the network: 1500 steps. One noise and one level a step. The picture
is drawn from noise under the interpolated embedding; nothing keeps the photo.
"""

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..denoiser import Conditioning
from ..embedding import optimize_embedding
from ..finetuning import fine_tune
from ..interpolation import interpolate
from ..training import History
from ..weights import Weights

# In our units, the rates of the paper: 2e-3 for texts whose numbers are about one, and 5e-7 a weight of Stable
# Diffusion, a rate of about 6e-5, see `fine_tune`.
EMBEDDING = {"steps": 1000, "learning_rate": 2e-3, "schedule": "constant", "samples": 1}
TUNING = {"tune": "all weights", "steps": 1500, "learning_rate": 6e-5, "schedule": "constant", "samples": 1}
ETA = 0.7  # the middle of what the paper recommends, 0.6 to 0.8


@dataclass
class PaperEdit:
    """What was learned about a photo. Kept in memory alone: it is as large as the model."""

    pipeline: Any
    photo: Tensor
    anchor: Conditioning
    optimized: Conditioning
    update: dict[str, Tensor]
    histories: tuple[History, ...]

    def sample(
        self,
        eta: float,
        *,
        num_inference_steps: int,
        guidance_scale: float | None,
        generator: torch.Generator,
        **_: Any,
    ) -> Image.Image:
        """A picture from noise, see `ImagicEdit.sample` for the arguments."""
        from ..diffusers import pictures
        from ..diffusers.borrowing import borrowed
        from ..diffusers.sampling import sample_plainly

        with (
            borrowed(self.pipeline, self.photo) as denoiser,
            Weights.restored(denoiser.network, self.update).attached(),
            torch.no_grad(),
        ):
            _, empty = denoiser.family.texts("")
            guidance = denoiser.family.guidance if guidance_scale is None else guidance_scale
            denoiser.family.guidance = guidance
            text = interpolate(self.optimized, self.anchor, eta)
            latent = sample_plainly(denoiser, self.photo.shape, text, empty, num_inference_steps, guidance, generator)
        return pictures.decode(self.pipeline, latent)


def tune(
    pipeline: Any, image: Image.Image, prompt: str, embedding_steps: int | None, tuning_steps: int | None
) -> PaperEdit:
    """Stages A and B as the paper has them.

    Args:
        embedding_steps, tuning_steps: None for the paper's own.
    """
    from ..diffusers import pictures
    from ..diffusers.borrowing import borrowed
    from ..diffusers.families import family_of

    first = EMBEDDING | ({} if embedding_steps is None else {"steps": embedding_steps})
    second = TUNING | ({} if tuning_steps is None else {"steps": tuning_steps})
    latent = pictures.encode(pipeline, image, family_of(pipeline).multiple)
    with borrowed(pipeline, latent) as denoiser:
        anchor, _ = denoiser.family.texts(prompt)
        optimized, before = optimize_embedding(denoiser, latent, anchor, **first)
        update, after = fine_tune(denoiser, latent, optimized, **second)
    return PaperEdit(pipeline, latent, anchor, optimized, update, (before, after))
