"""Where an edit changes the photo: a mask that the model finds by itself (DiffEdit, arXiv 2210.11427)."""

from collections.abc import Callable

import torch
from torch import Tensor

from .change import local_size, relative_size
from .checks import finite
from .denoiser import Conditioning, Denoiser
from .levels import standard_levels
from .objective import samples_per_forward
from .place import place_region, silent

# A single noise makes the model see things; over a dozen, only what the two texts disagree on is left (DiffEdit, arXiv
# 2210.11427). Levels as quantiles of the standard ones, see `levels`: cleaner ones show edges only.
PAIRS = 12
FORWARD_EQUIVALENTS = 2 * PAIRS  # each under both texts; `PAIRS` more, under none, where the whole picture changes
CLEANEST, NOISIEST = 0.3, 0.95
# Beyond this the model sees the layout alone. That tells an edit of the whole picture, but not where a hat goes.
NOISIEST_LOCAL = 0.8
# An edit of the whole picture, such as another style or place, changes even the fifth of it that changes least. How
# much, is told in shares of what the model cannot explain of the photo and of the edit's own largest change. Models
# differ in both, but hardly in their geometric mean: of 240 edits on an epsilon UNet and a flow transformer, three are
# taken for the wrong kind where 0.144 parts them, at the usual threshold of 0.4. By the first share alone it is ten.
LEAST_CHANGED, WHOLE = 0.2, 0.144 / 0.4
LARGEST = 0.95  # not the very largest, which may be a single position
SOFTNESS = 0.3  # half the width of a region's edge, as a share of the threshold


@torch.no_grad()
def edit_region(
    denoiser: Denoiser,
    latent: Tensor,
    optimized: Conditioning,
    target: Conditioning,
    *,
    threshold: float = 0.4,
    seed: int = 0,
    on_evaluation: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Where the target text would change the photo: a mask found by the model itself, as in DiffEdit (Sec. 3.2).

    Args:
        latent: the photo, [1, C, ...], in the model's scale.
        threshold: how large a change must be to count, as a share of the largest; 0 counts all. An edit of the whole
            picture, see `is_whole`, counts everywhere, but for the subject that it puts in another place, see
            `place_region`.
        seed: of the noise.
        on_evaluation: called after every evaluation of the network with how many latents it took, in all
            `FORWARD_EQUIVALENTS`, for an edit of the whole picture half as many more; what it raises ends the search.

    Returns:
        [1, 1, ...], 0..1 with a soft edge.

    Raises:
        ValueError: the model gives NaN or infinite values.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((PAIRS, *latent.shape[1:]), generator=generator).to(latent.device)
    quantile = CLEANEST + (NOISIEST - CLEANEST) * (torch.arange(PAIRS) + 0.5) / PAIRS
    levels = standard_levels(denoiser, quantile).to(latent.device)
    size = samples_per_forward(latent)

    def predicted(noisy: Tensor, sigma: Tensor, text: Conditioning) -> Tensor:
        clean = denoiser(noisy, sigma, text).float()
        on_evaluation(len(noisy))
        return finite("What the model predicts for this photo", clean, "run the model in fp32 or bf16")

    parts = [
        (denoiser.add_noise(latent, part, sigma), sigma)
        for part, sigma in zip(noise.split(size), levels.split(size), strict=True)
    ]
    wanted, there = (torch.cat([predicted(*part, text) for part in parts]) for text in (target, optimized))
    share = relative_size(wanted - there, latent - there).square().mean(0, keepdim=True).sqrt()
    if threshold and is_whole(share, threshold):
        nothing = silent(optimized)
        return place_region(wanted, there, torch.cat([predicted(*part, nothing) for part in parts]))
    change = (wanted - there)[(quantile <= NOISIEST_LOCAL).to(latent.device)]
    return region_of(change.sum(0, keepdim=True), threshold)


def is_whole(share: Tensor, threshold: float) -> bool:
    """Whether an edit that changes each position by such a share, a `relative_size`, is one of the whole picture.

    It is, if what changes least changes by more than 0.36 times the threshold: in the geometric mean of its share of
    what the model cannot explain and its share of the largest change. No change counts as larger than all that the
    model cannot explain: the white rim of a watercolor in a night scene is.
    """
    least, largest = (_quantiles(share.flatten()[None], quantile) for quantile in (LEAST_CHANGED, LARGEST))
    return bool(least > WHOLE * threshold * largest.clamp(max=1).sqrt())


def region_of(change: Tensor, threshold: float) -> Tensor:
    """Where a change [N, C, ..., H, W] is large: a mask [N, 1, ..., H, W], 0..1 with a soft edge."""
    if threshold == 0:
        return torch.ones_like(change[:, :1])
    size = local_size(change)
    largest = _quantiles(size, LARGEST).view(-1, *[1] * (size.ndim - 1))
    share = size / largest.clamp_min(torch.finfo(size.dtype).tiny)
    return ((share - (1 - SOFTNESS) * threshold) / (2 * SOFTNESS * threshold)).clamp(0, 1)


def _quantiles(values: Tensor, quantile: float) -> Tensor:
    """A quantile of each of N, [N], from some million positions at most: torch's takes no more than 16 million."""
    values = values.flatten(1)
    return torch.quantile(values[:, :: values.shape[1] // 2**20 + 1], quantile, dim=1)
