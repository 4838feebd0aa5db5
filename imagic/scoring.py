"""Ranks edited pictures by the diffusion model itself: which of them shows the target and keeps the photo?

The paper picks eta by hand and leaves the choice open. Two measures make it: how much better the target text explains a
picture than the photo's own embedding does, in the manner of diffusion classifiers (arXiv 2303.16203), and how much
of the photo's structure is still where it was. Where image and text encoders are at hand they measure both better.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from .checks import finite
from .denoiser import Conditioning, Denoiser
from .levels import standard_levels
from .objective import denoising_losses

# What a text says is decided at the noisy end of the schedule; at the clean end the artifacts of sampling decide. A
# quantile of the standard levels, see `levels`.
CLEANEST = 0.5
# A picture shows the edit if it has this share of the best alignment among the candidates.
SHOWS = 0.95


@dataclass
class Ranking:
    order: list[int]  # candidates, best first
    alignment: Tensor  # [N]; 0 is the photo itself
    fidelity: Tensor  # [N], -1..1; 1 is the photo itself
    forward_equivalents: int = 0

    @property
    def threshold(self) -> float:
        """The alignment from which on a picture shows the edit."""
        return SHOWS * float(self.alignment.max())


def ranked(alignment: Tensor, fidelity: Tensor, forward_equivalents: int = 0) -> Ranking:
    """Of the candidates that show the target the most faithful is best; the others follow by alignment.

    Args:
        alignment: how much better than the photo each of N candidates shows the target, [N].
        fidelity: how much of the photo each has kept, [N].

    Raises:
        ValueError: a score is NaN or infinite, so none of them is best.
    """
    alignment, fidelity = alignment.float().cpu(), fidelity.float().cpu()
    finite("The pictures' alignment with the text", alignment, "run the model in fp32 or bf16")
    finite("The pictures' fidelity to the photo", fidelity, "run the model in fp32 or bf16")
    ranking = Ranking([], alignment, fidelity, forward_equivalents)
    # Where nothing moves towards the target, the least bad comes first.
    shows = alignment >= min(ranking.threshold, float(alignment.max()))
    ranking.order = sorted(
        range(len(alignment)),
        key=lambda n: (0, -float(fidelity[n])) if shows[n] else (1, -float(alignment[n])),
    )
    return ranking


def rank(
    denoiser: Denoiser,
    source: Tensor,
    candidates: Tensor,
    optimized: Conditioning,
    target: Conditioning,
    *,
    samples: int = 4,
    **options,
) -> Ranking:
    """`ranked` by what needs no further model: `explained_better`, whose arguments these are, and `structure`."""
    alignment = explained_better(denoiser, source, candidates, optimized, target, samples=samples, **options)
    return ranked(alignment, structure(source, candidates), evaluations(len(candidates), samples))


@torch.no_grad()
def explained_better(
    denoiser: Denoiser,
    source: Tensor,
    candidates: Tensor,
    optimized: Conditioning,
    target: Conditioning,
    *,
    samples: int = 4,
    seed: int = 0,
    on_picture: Callable[[], None] = lambda: None,
) -> Tensor:
    """Alignment [N] by the diffusion model alone: how much better the target text explains a picture than the photo's
    own embedding does, in units of the model's loss, less the same of the photo. Costs `evaluations(N, samples)`.

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
    sigma = standard_levels(denoiser, quantiles).to(source.device)
    noise = torch.randn((samples, *source.shape[1:]), generator=generator).to(source.device)

    def loss(latent: Tensor, conditioning: Conditioning) -> Tensor:
        return torch.cat([part for part, _ in denoising_losses(denoiser, latent, conditioning, noise, sigma)]).mean()

    gains = []
    for latent in (source, *candidates.split(1)):
        gains.append(loss(latent, optimized) - loss(latent, target))
        on_picture()
    return torch.stack(gains[1:]) - gains[0]


def evaluations(candidates: int, samples: int) -> int:
    """Forward-equivalents of `explained_better`: every picture and the photo, under both texts."""
    return 2 * samples * (candidates + 1)


def nearer_the_text(source: Tensor, candidates: Tensor, text: Tensor) -> Tensor:
    """Alignment [N] by an image and a text encoder trained together (CLIP, arXiv 2103.00020): how much nearer to the
    text a picture is than the photo, as a difference of cosines.

    Args:
        source, candidates, text: embeddings in the space that both encoders share, [1, D], [N, D], [1, D].
    """
    return cosine_similarity(candidates, text) - cosine_similarity(source, text)


def same_places(source: Tensor, candidates: Tensor) -> Tensor:
    """Fidelity [N] by the patches of an image encoder: their mean cosine with the photo's, place by place.

    Patch features tell what is where and care little for noise and shades (arXiv 2112.05814): what moved, was zoomed
    or vanished lowers it.

    Args:
        source, candidates: features of the patches, [1, P, D] and [N, P, D].
    """
    return cosine_similarity(candidates, source, dim=2).mean(1)


def structure(source: Tensor, candidates: Tensor) -> Tensor:
    """Fidelity [N] by latents alone: their correlation with the photo's, position by position."""

    def centred(latents: Tensor) -> Tensor:
        flat = latents.float().flatten(2)
        return (flat - flat.mean(2, keepdim=True)).flatten(1)

    return cosine_similarity(centred(candidates), centred(source), dim=1)
