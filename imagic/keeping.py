"""Keep the photo while an edit is sampled: draw only the difference that the target makes, only where it makes one.

However well a model is tuned it reconstructs a photo by memory, and whatever the target text leaves open it draws anew.
So at every noise level the model is asked twice: for the clean latent behind the sample under the edit's conditioning,
and for the one behind the photo itself, noised with the same noise, under the optimized embedding. Their difference is
what the edit changes; it is added to the photo (FlowEdit, arXiv 2412.08629; Direct Inversion, arXiv 2310.01506). What
the model cannot explain of the photo cancels out, so eta 0 gives the photo back exactly, tuned well or not at all.
Where the edit changes much it is let go: the rest of a photo that is no longer there stands as a ghost in its place.
Every step looks through other noise, as in FlowEdit: a single noise, looked through from the first step to the last,
is taken for a picture of its own, and animals turn round.
"""

import torch
from torch import Tensor
from torch.nn import functional

from .denoiser import Conditioning, Denoiser
from .objective import samples_per_forward

# A single noise makes the model see things; over a dozen, only what the two texts disagree on is left (DiffEdit, arXiv
# 2210.11427). Cleaner levels show edges only, noisier ones nothing.
PAIRS = 12
FORWARD_EQUIVALENTS = 2 * PAIRS  # each under both texts
CLEANEST, NOISIEST = 0.3, 0.8
SOFTNESS = 0.3  # half the width of a region's edge, as a share of the threshold


def edited_latent(photo: Tensor, edited: Tensor, explained: Tensor, region: Tensor) -> Tensor:
    """The clean latent of the edit: the photo plus what the edit changes.

    As the change grows, what the model could not explain of the photo is let go, and the sample itself takes its place:
    half of it where the change is half of the photo's own contrast (the deviation of its latent), or of what is not
    explained, where that is more. By the square of the change, for at eta 0 rounding alone makes one, and what follows
    from it must not grow from step to step.

    Args:
        photo: the clean latent, [1, C, ...].
        edited: predicted behind the sample under the edit's conditioning, [N, C, ...].
        explained: predicted behind the photo, noised with the same noise, under the optimized embedding, [N, C, ...].
        region: where the photo may change, 0..1, [1, 1, ...].
    """
    change, unexplained = edited - explained, photo - explained
    contrast = photo.std().clamp_min(torch.finfo(photo.dtype).tiny)
    gone = (2 * (_size(change) / _size(unexplained).maximum(contrast)).square()).clamp(max=1)
    return photo + region * (change - gone * unexplained)


def reordered(noise: Tensor, step: int) -> Tensor:
    """Noise as good as new for each step of a sample, from the noise that the sample began with: the same numbers in
    another order. So the sampler's seed decides it, on every device alike.

    Args:
        noise: standard normal, [N, C, ...].
        step: 0 gives `noise` itself.
    """
    if step == 0:
        return noise
    order = torch.randperm(noise[0].numel(), generator=torch.Generator().manual_seed(step)).to(noise.device)
    return noise.flatten(1)[:, order].view_as(noise)


@torch.no_grad()
def edit_region(
    denoiser: Denoiser,
    latent: Tensor,
    optimized: Conditioning,
    target: Conditioning,
    *,
    threshold: float = 0.4,
    seed: int = 0,
) -> Tensor:
    """Where the target text would change the photo: a mask found by the model itself, as in DiffEdit (Sec. 3.2).

    Args:
        latent: the photo, [1, C, ...], in the model's scale.
        threshold: how large a change must be to count, as a share of the largest; 0 counts all. An edit of the whole
            picture, a style say, changes it by about the same everywhere, and its region is the whole picture.
        seed: of the noise.

    Returns:
        [1, 1, ...], 0..1 with a soft edge.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((PAIRS, *latent.shape[1:]), generator=generator).to(latent.device)
    position = (torch.arange(PAIRS) + 0.5) / PAIRS
    levels = denoiser.sigma(CLEANEST + (NOISIEST - CLEANEST) * position).to(latent.device)
    change = torch.zeros_like(latent)
    size = samples_per_forward(latent)
    for part, sigma in zip(noise.split(size), levels.split(size), strict=True):
        noisy = denoiser.add_noise(latent, part, sigma)
        wanted, there = (denoiser(noisy, sigma, text).float() for text in (target, optimized))
        change += (wanted - there).sum(0, keepdim=True)
    return region_of(change, threshold)


def region_of(change: Tensor, threshold: float) -> Tensor:
    """Where a change [N, C, ..., H, W] is large: a mask [N, 1, ..., H, W], 0..1 with a soft edge."""
    if threshold == 0:
        return torch.ones_like(change[:, :1])
    size = _size(change)
    # Not the very largest, which may be a single position.
    largest = torch.quantile(size.flatten(1), 0.95, dim=1).view(-1, *[1] * (size.ndim - 1))
    share = size / largest.clamp_min(torch.finfo(size.dtype).tiny)
    return ((share - (1 - SOFTNESS) * threshold) / (2 * SOFTNESS * threshold)).clamp(0, 1)


def _size(change: Tensor) -> Tensor:
    """How large a change [N, C, ..., H, W] is around each position: the root of its mean square, [N, 1, ..., H, W]."""
    return _smooth(change.square().mean(1, keepdim=True)).sqrt()


def _smooth(values: Tensor) -> Tensor:
    """The mean of each position and its neighbours, over the last two dimensions."""
    planes = functional.pad(values.flatten(0, -3).unsqueeze(1), (1, 1, 1, 1), mode="replicate")
    return functional.avg_pool2d(planes, 3, stride=1).view_as(values)
