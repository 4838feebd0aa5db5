"""Inpainting: the sampler draws inside a mask, and the photo is put back outside at every step, as the host's KSampler
does with a noise mask (arXiv 2201.09865). The mask is the region that the model finds by itself from two captions."""

from itertools import pairwise

from torch import Tensor

from imagic.region import edit_region

from ..outcome import Outcome
from ..pack import THRESHOLD

STRENGTHS = [0.6, 0.8, 0.9, 1.0]


def settings() -> dict:
    return {"strengths": STRENGTHS, "threshold": THRESHOLD}


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    with studio.measured(outcome.target):
        latent = studio.encode(pair.source)
        caption, target = (studio.text(text) for text in (pair.edit.source_caption, pair.edit.target_caption))
        region = edit_region(studio.denoiser, latent, caption, target, threshold=THRESHOLD)
    for strength in STRENGTHS:
        with studio.measured(outcome.sample(f"{strength:g}")):
            picture = studio.decode(inpainted(studio, latent, target, region, strength))
        outcome.pictures[f"{strength:g}"] = picture
    return outcome


def inpainted(studio, photo: Tensor, target: dict[str, Tensor], region: Tensor, strength: float) -> Tensor:
    noise, levels = studio.noise(photo), studio.levels(strength=strength)
    noisy = studio.denoiser.add_noise(photo, noise, levels[:1])
    for sigma, following in pairwise(levels):
        noisy = studio.denoiser.add_noise(photo, noise, sigma[None]).lerp(noisy, region)
        clean = photo.lerp(studio.predict(noisy, sigma, target), region)
        noisy = noisy + (following - sigma) * (noisy - clean) / sigma
    return noisy
