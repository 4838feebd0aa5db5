"""Has a sampler draw the edit and the photo with the same noise, and asks it beforehand whether it does."""

import copy
import inspect
from collections.abc import Callable

import torch
from torch import Tensor


def with_the_same_noise(sampler, noise: Tensor, seed: int | None):
    """The sampler, adding the same noise to edits and photos if it adds any.

    Args:
        sampler: a sampler of the host.
        noise: of the edits, [N, C, ...].
        seed: of the noise that is added.
    """
    function = getattr(sampler, "sampler_function", None)
    if function is None or "noise_sampler" not in inspect.signature(function).parameters:
        return sampler
    if sampler.extra_options.get("noise_sampler") is not None:
        return sampler  # somebody's own, which the rehearsal asks
    # Not the noise that the host begins with at the same seed.
    generator = torch.Generator().manual_seed(((seed or 0) + 1) % 2**64)

    def both(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        # The host draws `noise` on the CPU, and samples on the device that the levels are on.
        return twice(torch.randn(noise.shape, generator=generator).to(sigma.device, noise.dtype))

    sampler = copy.copy(sampler)
    sampler.extra_options = {**sampler.extra_options, "noise_sampler": both}
    return sampler


def twice(latents: Tensor) -> Tensor:
    """Latents [N, C, ...] as both halves of a batch, [2N, C, ...]."""
    return latents.repeat(2, *[1] * (latents.ndim - 1))


class Rehearsal:
    """A run of a sampler without the model: the photo is twice in the batch, and every prediction.

    No list of names knows the samplers of other packs; this asks the sampler itself whether it treats both alike.
    """

    def __init__(self, photo: Tensor):
        """
        Args:
            photo: [1, C, ...], in the model's scale.
        """
        self.photo, self.alike, self.reads_unguided = photo, True, False

    def run(self, sample: Callable[[Tensor, Tensor], Tensor], noise: Tensor, latent: Tensor, sampler) -> None:
        """
        Args:
            sample: runs the sampler on noise and latents [2N, C, ...].
            noise, latent: of the photos, [N, C, ...].

        Raises:
            ValueError: the sampler adds other noise to one half than to the other.
        """
        with torch.random.fork_rng([latent.device] if latent.device.type == "cuda" else []):
            end = sample(twice(noise), twice(latent))
        self.alike &= torch.equal(*end.chunk(2))
        if not self.alike:
            function = getattr(sampler, "sampler_function", sampler)
            name = getattr(function, "__name__", type(function).__name__).removeprefix("sample_")
            raise ValueError(
                f"The sampler {name} adds noise of its own, which Keep Photo cannot follow: take euler, ddim, heun or "
                "dpmpp_2m, or sample from the MODEL that went into Keep Photo."
            )

    def predict(self, guider, noisy: Tensor, sigma: Tensor, options: dict) -> Tensor:
        """The photo for each of the batch, [2N, C, ...]."""
        self.alike &= torch.equal(*noisy.chunk(2))
        photos = self.photo.expand(noisy.shape)
        # Samplers that read the unguided prediction have added a function to the options that gets it.
        name, predictions = "sampler_post_cfg_function", ("denoised", "cond_denoised", "uncond_denoised")
        args = {"model": guider.inner_model, "input": noisy, "sigma": sigma, "model_options": options}
        for function in options.get(name, [])[len(guider.model_options.get(name, [])) :]:
            function({**args, **dict.fromkeys(predictions, photos)})
            self.reads_unguided = True
        return photos
