"""Ranks edited pictures by the diffusion model itself: which of them shows the target and keeps the photo?

The paper picks eta by hand and leaves the choice open. Two measures make it: how much better the target text explains a
picture than the photo's own embedding does, in the manner of diffusion classifiers (arXiv 2303.16203), and how much
of the photo's structure is still where it was.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .denoiser import Conditioning, Denoiser
from .objective import denoising_losses

# What a text says is decided at the noisy end of the schedule; at the clean end the artifacts of sampling decide.
CLEANEST = 0.6
# A picture shows the edit if it has this share of the best alignment among the candidates.
SHOWS = 0.9


@dataclass
class Ranking:
    order: list[int]  # candidates, best first
    alignment: Tensor  # [N], in units of the model's loss; 0 is the photo itself
    fidelity: Tensor  # [N], -1..1; 1 is the photo itself
    forward_equivalents: int = 0

    @property
    def threshold(self) -> float:
        """The alignment from which on a picture shows the edit."""
        return SHOWS * float(self.alignment.max())


@torch.no_grad()
def rank(
    denoiser: Denoiser,
    source: Tensor,
    candidates: Tensor,
    optimized: Conditioning,
    target: Conditioning,
    *,
    samples: int = 8,
    seed: int = 0,
    on_picture: Callable[[], None] = lambda: None,
) -> Ranking:
    """Order edits of a photo. Of those that show the target the most faithful is best; the others follow by alignment.

    Args:
        denoiser: the model before it was tuned; a tuned one sees the photo everywhere.
        source: the photo, [1, C, ...], in the model's scale.
        candidates: the edits, [N, C, ...].
        optimized, target: the two ends of the interpolation.
        samples: (noise, level) pairs, the same for all pictures.
        on_picture: called after each of the N + 1 pictures; what it raises ends the run.
    """
    generator = torch.Generator().manual_seed(seed)
    quantiles = CLEANEST + (1 - CLEANEST) * (torch.arange(samples) + 0.5) / samples
    sigma = denoiser.sigma(quantiles).to(source.device)
    noise = torch.randn((samples, *source.shape[1:]), generator=generator).to(source.device)

    def loss(latent: Tensor, conditioning: Conditioning) -> Tensor:
        return torch.cat([part for part, _ in denoising_losses(denoiser, latent, conditioning, noise, sigma)]).mean()

    gains = []
    for latent in (source, *candidates.split(1)):
        gains.append(loss(latent, optimized) - loss(latent, target))
        on_picture()
    alignment = (torch.stack(gains[1:]) - gains[0]).cpu()
    fidelity = structure(source, candidates).cpu()
    ranking = Ranking([], alignment, fidelity, 2 * samples * (len(candidates) + 1))
    # Where nothing moves towards the target, the least bad comes first.
    shows = alignment >= min(ranking.threshold, float(alignment.max()))
    ranking.order = sorted(
        range(len(candidates)),
        key=lambda n: (0, -float(fidelity[n])) if shows[n] else (1, -float(alignment[n])),
    )
    return ranking


def structure(source: Tensor, candidates: Tensor) -> Tensor:
    """Correlation [N] of latents with the photo's, position by position: what moved, grew or vanished lowers it."""

    def centred(latents: Tensor) -> Tensor:
        flat = latents.float().flatten(2)
        return (flat - flat.mean(2, keepdim=True)).flatten(1)

    return torch.nn.functional.cosine_similarity(centred(candidates), centred(source), dim=1)
