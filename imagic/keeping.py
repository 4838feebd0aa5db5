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

from .region import local_size


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
    gone = (2 * (local_size(change) / local_size(unexplained).maximum(contrast)).square()).clamp(max=1)
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
