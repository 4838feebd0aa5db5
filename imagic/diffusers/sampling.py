"""Samples an edit over a pipeline's own noise levels: deterministic steps that keep the photo."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ..denoiser import Conditioning
from ..keeping import kept_prediction
from ..objective import samples_per_forward
from .denoiser import DiffusersDenoiser


@torch.no_grad()
def sample_edit(
    denoiser: DiffusersDenoiser,
    photo: Tensor,
    optimized: Conditioning,
    conditioning: Conditioning,
    empty: Conditioning | None,
    region: Tensor,
    *,
    num_inference_steps: int,
    guidance_scale: float,
    generator: torch.Generator,
    on_step: Callable[[int, Tensor, Tensor], Tensor] = lambda number, timestep, latents: latents,
) -> Tensor:
    """The latent of the edit, see `imagic.keeping`.

    Args:
        photo: its latent, [1, C, ...], in the network's scale.
        optimized, conditioning: what explains the photo, and what the edit is to be, see `interpolate`.
        empty: the counterpart for classifier-free guidance with the weight `guidance_scale`, where there is such.
        region: where the photo may change, 0..1, [1, 1, ...].
        num_inference_steps: of the scheduler's own deterministic sampler.
        generator: of the noise, all of which is drawn at the start.
        on_step: called after every step with its number, its timestep and the noisy latents, which go on as it gives
            them back; what it raises ends the run.
    """
    schedule = denoiser.schedule
    noise = torch.randn(photo.shape, generator=generator, device=generator.device).to(photo.device)
    scheduler, sigmas = schedule.sampler(num_inference_steps)
    norms = schedule.norm(sigmas).tolist()
    sample = denoiser.add_noise(photo, noise, sigmas[:1].to(photo.device)) / norms[0]
    levels = zip(scheduler.timesteps, sigmas.to(photo.device).split(1), norms, strict=True)
    texts = [conditioning, optimized]
    for step, (timestep, sigma, norm) in enumerate(levels):
        noisy = sample * norm

        def predict(noisy: Tensor, photo: Tensor, sigma: Tensor = sigma) -> tuple[Tensor, Tensor]:
            edited, explained = _guided(denoiser, [noisy, photo], sigma, texts, empty, guidance_scale)
            return edited, explained

        add_noise = partial(denoiser.add_noise, sigma=sigma)
        clean = kept_prediction(predict, noisy, add_noise(photo, noise), photo, region, add_noise, step)
        sample = scheduler.step(schedule.step_input(noisy, clean, sigma), timestep, sample).prev_sample
        sample = on_step(step, timestep, sample)
    return sample


@torch.no_grad()
def sample_plainly(
    denoiser: DiffusersDenoiser,
    shape: Sequence[int],
    conditioning: Conditioning,
    empty: Conditioning | None,
    num_inference_steps: int,
    guidance_scale: float,
    generator: torch.Generator,
) -> Tensor:
    """The latent [1, C, ...] of a picture from noise: nothing but the text says what it shows.

    Args:
        shape: of the latent; the others are those of `sample_edit`.
    """
    schedule = denoiser.schedule
    noise = torch.randn(shape, generator=generator, device=generator.device).to(denoiser.device)
    scheduler, sigmas = schedule.sampler(num_inference_steps)
    norms = schedule.norm(sigmas).tolist()
    sample = denoiser.add_noise(torch.zeros_like(noise), noise, sigmas[:1].to(noise.device)) / norms[0]
    for timestep, sigma, norm in zip(scheduler.timesteps, sigmas.to(noise.device).split(1), norms, strict=True):
        noisy = sample * norm
        clean = _guided(denoiser, [noisy], sigma, [conditioning], empty, guidance_scale)[0]
        sample = scheduler.step(schedule.step_input(noisy, clean, sigma), timestep, sample).prev_sample
    return sample


def _guided(
    denoiser: DiffusersDenoiser,
    views: list[Tensor],
    sigma: Tensor,
    texts: list[Conditioning],
    empty: Conditioning | None,
    guidance: float,
) -> list[Tensor]:
    """The clean latent behind each view under its text, with classifier-free guidance (arXiv 2207.12598)."""
    if empty is None or guidance == 1:
        return _denoised(denoiser, views, sigma, texts)
    views = [view for view in views for _ in range(2)]
    texts = [text for wanted in texts for text in (empty, wanted)]
    clean = _denoised(denoiser, views, sigma, texts)
    return [torch.lerp(without, wanted, guidance) for without, wanted in zip(clean[::2], clean[1::2], strict=True)]


def _denoised(
    denoiser: DiffusersDenoiser, views: list[Tensor], sigma: Tensor, texts: list[Conditioning]
) -> list[Tensor]:
    """Together where texts are of one length, as far as memory that training has needed goes."""
    shapes = [{name: tensor.shape for name, tensor in text.items()} for text in texts]
    size = samples_per_forward(views[0]) if all(shape == shapes[0] for shape in shapes) else 1
    clean = []
    for start in range(0, len(views), size):
        part = slice(start, start + size)
        text = {name: torch.cat([text[name] for text in texts[part]]) for name in texts[start]}
        noisy = torch.cat(views[part])
        clean += denoiser(noisy, sigma.expand(len(noisy)), text).split(1)
    return clean
