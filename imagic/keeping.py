"""Keep the photo while an edit is sampled: draw only the difference that the target makes, only where it makes one.

A model reconstructs a photo from memory, however well it is tuned, and draws anew whatever the target text leaves open.
So at every noise level the model predicts twice: the clean latent behind the sample under the edit's conditioning, and
the one behind the photo with the same noise under the optimized embedding. Their difference is what the edit changes;
it is added to the photo (FlowEdit, arXiv 2412.08629; Direct Inversion, arXiv 2310.01506). What the model cannot explain
of the photo cancels out, so eta 0 gives the photo back exactly, tuned well or not at all.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .change import local_size

FADE = 0.25  # of noise's share, over which a position is let go: two samplers' levels differ, their pictures should not
# How much structure of a photo that is kept whole is in the noise, in the noise's deviation. With more the flow model
# completes fewer edits.
STRUCTURE = 0.3
FAINTEST = 0.01  # of a latent's deviation: frequencies that have less are rounding and no structure


def kept_prediction(
    predict: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    sample: Tensor,
    noisy_photo: Tensor,
    photo: Tensor,
    region: Tensor,
    add_noise: Callable[[Tensor, Tensor], Tensor],
    step: int,
) -> Tensor:
    """The clean latent that a sampler should take for its sample: the photo with the edit so far.

    The model sees both through other noise at every step, see `renewed`, as in FlowEdit: a noise that stays the same
    from the first step to the last is taken for a picture of its own. Only the photo's structure in it stays the same.

    Args:
        predict: gives the clean latents behind the sample, under the edit's conditioning, and behind the noisy photo,
            under the optimized embedding.
        sample: the sampler's state, [N, C, ...].
        noisy_photo: the same for the photo: where the same sampler would be with the same noise if it drew nothing but
            the photo, [N, C, ...].
        photo: the clean latent, [1, C, ...].
        region: where the photo may change, 0..1, [1, 1, ...]; between them, from when on, see `let_go`.
        add_noise: the noisy latent of a clean one and a noise, at the sampler's noise level. Linear in both.
        step: how many predictions this run has had.
    """
    noise = noise_of(noisy_photo, photo.expand_as(noisy_photo), add_noise)
    other_noise = add_noise(torch.zeros_like(noise), renewed(noise, photo, region, step) - noise)
    edited, explained = predict(sample + other_noise, noisy_photo + other_noise)
    return edited_latent(photo, edited, explained, let_go(region, share_of_noise(sample, add_noise)))


def share_of_noise(sample: Tensor, add_noise: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Of the factors of noise and clean latent in a noisy one, the noise's share, [N, 1, ...]; 1 is pure noise."""
    zero = sample.new_zeros(len(sample), *[1] * (sample.ndim - 1))
    noise, clean = add_noise(zero, zero + 1), add_noise(zero + 1, zero)
    return noise / (noise + clean)


def let_go(region: Tensor, noise: Tensor) -> Tensor:
    """How freely the photo may change at a noise level, 0..1: not before the noise's share has come down to the region.

    So a soft region says when a position is let go, not how much of photo and edit is mixed there (Differential
    Diffusion, arXiv 2306.00950). A mixture at every step is a mixture at the end: the old place shines through around
    its subject. A position that is let go late is drawn as what its surroundings have become.

    Args:
        region: 0..1, [1, 1, ...]. 1 is free from the first step to the last, 0 never.
        noise: see `share_of_noise`.
    """
    return (((1 + FADE) * region.to(noise) - noise) / FADE).clamp(0, 1)


def noise_of(noisy: Tensor, clean: Tensor, add_noise: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The noise with which a clean latent becomes a noisy one; none where the level has none."""
    nothing = torch.zeros_like(noisy)
    scale = add_noise(nothing, torch.ones_like(noisy))
    return torch.where(scale > 0, (noisy - add_noise(clean, nothing)) / scale, 0)


def edited_latent(photo: Tensor, edited: Tensor, explained: Tensor, region: Tensor) -> Tensor:
    """The clean latent of the edit: the photo plus what the edit changes.

    What the model could not explain of the photo would stay behind as a ghost where the edit replaces it. So that part
    fades by 2 (change / max(contrast, unexplained))^2, at most 1, where the contrast is the deviation of the photo's
    latent. The square keeps rounding errors at eta 0 from growing from step to step.

    Args:
        photo: the clean latent, [1, C, ...].
        edited: predicted behind the sample under the edit's conditioning, [N, C, ...].
        explained: predicted behind the photo, with the same noise, under the optimized embedding, [N, C, ...].
        region: where the photo may change, 0..1, [1, 1, ...].
    """
    change, unexplained = edited - explained, photo - explained
    contrast = photo.std().clamp_min(torch.finfo(photo.dtype).tiny)
    faded = (2 * (local_size(change) / local_size(unexplained).maximum(contrast)).square()).clamp(max=1)
    return torch.lerp(photo.expand_as(edited), photo + change - faded * unexplained, region.to(edited))


def renewed(noise: Tensor, photo: Tensor, region: Tensor, step: int) -> Tensor:
    """The noise for a step: the same numbers in another order, with structure of the photo in it, as much as stays.

    Through such noise the model sees the photo's edges, and draws the edit along them (after SNR-Edit, arXiv
    2601.19180). Edit and photo see the same, so at eta 0 it cancels out. An edit of the whole picture replaces the
    structure, so there the noise has none.

    Args:
        noise: in the noisy photo, standard normal, [N, C, ...].
        photo: the clean latent, [1, C, ...].
        region: where the photo may change, 0..1, [1, 1, ...].
        step: 0 gives `noise` itself.

    Returns:
        [N, C, ...], of the deviation of `noise`.
    """
    share = STRUCTURE * (1 - float(region.mean()))
    if step == 0 or share == 0:
        return reordered(noise, step)
    structure = share * structure_of(photo).to(noise)
    return (reordered(noise, step) + structure) / (1 + structure.square().mean()).sqrt()


def structure_of(photo: Tensor) -> Tensor:
    """Where a latent has lines and edges, as white noise would have them, [1, C, ...]: its Fourier phases alone.

    The phases say where the edges are (arXiv 2512.05106). With magnitudes that are the same at all frequencies it is as
    strong as noise at each of them, in every model's latents and at every size. Its power is 1 at most. A photo of few
    lines would be a few spikes, such as no noise has; they end at three deviations.
    """
    photo = photo.float().cpu()  # not every device has complex numbers
    spectrum = torch.fft.rfft2(photo, norm="ortho")
    least = (FAINTEST * photo.std()).clamp_min(torch.finfo(photo.dtype).tiny)
    phases = spectrum / spectrum.abs().clamp_min(least)
    return torch.fft.irfft2(phases, s=photo.shape[-2:], norm="ortho").clamp(-3, 3)


def reordered(noise: Tensor, step: int) -> Tensor:
    """Noise as good as new for each step of a sample: the same numbers in another order.

    So the sampler's seed decides it, on every device alike.

    Args:
        noise: standard normal, [N, C, ...].
        step: 0 gives `noise` itself.
    """
    if step == 0:
        return noise
    order = torch.randperm(noise[0].numel(), generator=torch.Generator().manual_seed(step)).to(noise.device)
    return noise.flatten(1)[:, order].view_as(noise)
