"""Has a sampler draw the edit and the photo with the same noise, and asks it beforehand whether it does."""

import copy
import inspect
from collections.abc import Callable

import torch
from comfy.k_diffusion.sampling import BrownianTreeNoiseSampler
from torch import Tensor


def with_the_same_noise(sampler, noise: Tensor, sigmas: Tensor, seed: int | None):
    """The sampler, adding the same noise to edits and photos if it adds any.

    Args:
        sampler: a sampler of the host.
        noise: of the edits, [N, C, ...].
        sigmas: the levels of the run.
    """
    function = getattr(sampler, "sampler_function", None)
    if function is None or "noise_sampler" not in inspect.signature(function).parameters:
        return sampler
    tree = BrownianTreeNoiseSampler(noise, sigmas.min(), sigmas.max(), seed=seed, cpu=True)

    def both(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        return twice(tree(sigma, sigma_next).to(noise))

    sampler = copy.copy(sampler)
    sampler.extra_options = {**sampler.extra_options, "noise_sampler": both}
    return sampler


def twice(latents: Tensor) -> Tensor:
    """Latents [N, C, ...] as both halves of a batch, [2N, C, ...]."""
    return latents.repeat(2, *[1] * (latents.ndim - 1))


def refuse_other_noise(sample: Callable[[Tensor, Tensor], Tensor], noise: Tensor, latent: Tensor, name: str) -> None:
    """Run the sampler once without the model, with the photo twice in the batch and as every prediction.

    No list of names knows the samplers of other packs; this asks the sampler itself.

    Args:
        sample: runs the sampler on noise and latents [2N, C, ...].
        noise, latent: of the photos, [N, C, ...].
        name: the sampler's.

    Raises:
        ValueError: it adds other noise to one half than to the other.
    """
    devices = [latent.device] if latent.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        one, other = sample(twice(noise), twice(latent)).chunk(2)
    if not torch.equal(one, other):
        raise ValueError(
            f"The sampler {name} adds noise of its own, which Keep Photo cannot follow: take euler, ddim, heun or "
            "dpmpp_2m, or sample from the MODEL that went into Keep Photo."
        )


def call_own_functions(options: dict, known: dict, photos: Tensor, about: dict) -> None:
    """Call what the sampler added to the model's options, as the guider would if both predictions were the photo.

    Args:
        options, known: the options that the sampler gave with a prediction, and those that it was given.
        photos: the prediction, [N, C, ...].
        about: more that such functions are told.
    """
    name = "sampler_post_cfg_function"
    for function in options.get(name, [])[len(known.get(name, [])) :]:
        predictions = ("denoised", "cond_denoised", "uncond_denoised")
        function({**about, **dict.fromkeys(predictions, photos), "model_options": options})
