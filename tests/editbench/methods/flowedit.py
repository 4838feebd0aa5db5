"""FlowEdit (arXiv 2412.08629, Alg. 1): the photo moves along the difference of what two captions say, each with a
guidance of its own, through other noise at every step."""

from itertools import pairwise

import torch
from torch import Tensor

from ..outcome import Outcome
from ..studio import SEED, STEPS

# The paper's guidance for Flux and for Stable Diffusion 3 (Sec. 5), and the share of the steps that runs, the noisiest
# left out: its own are 24 of 28 and 33 of 50.
SETTINGS = {"guidance": [[1.5, 5.5], [3.5, 13.5]], "shares": [0.65, 0.8, 1.0]}


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    for guidance in SETTINGS["guidance"]:
        for share in SETTINGS["shares"]:
            dial = f"{guidance[0]:g}/{guidance[1]:g}, {share:g}"
            with studio.measured(outcome.sample(dial)):
                latent = studio.encode(pair.source)
                texts = [studio.text(text) for text in (pair.edit.source_caption, pair.edit.target_caption)]
                outcome.pictures[dial] = studio.decode(moved(studio, latent, texts, guidance, round(share * STEPS)))
    return outcome


def moved(studio, photo: Tensor, texts: list, guidance: list[float], steps: int) -> Tensor:
    """
    Args:
        texts, guidance: of the source, then of the target.
        steps: of all, the last so many.

    In the terms of a denoiser D the velocity is (z - D(z)) / sigma, of a flow model as of a diffusion model, whose
    sigma only has another scale. So one formula serves both.
    """
    edited, generator = photo, torch.Generator().manual_seed(SEED)
    for sigma, following in pairwise(studio.levels()[-steps - 1 :]):
        noise = torch.randn(photo.shape, generator=generator)
        source = studio.denoiser.add_noise(photo, noise, sigma[None])
        target = edited + source - photo
        views = (source, target)
        velocities = [
            (view - studio.predict(view, sigma, text, scale)) / sigma
            for view, text, scale in zip(views, texts, guidance, strict=True)
        ]
        edited = edited + (following - sigma) * (velocities[1] - velocities[0])
    return edited
