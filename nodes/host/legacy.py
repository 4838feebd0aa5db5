"""What only the ComfyUI of March 2024 needs: Keep Photo without wrappers around a run.

That host tells nobody where a run begins, which sampler draws, or what noise it starts from. So this serves the plain
samplers that `make demo` uses there, and refuses what it can tell it cannot serve.
"""

from functools import partial

import comfy.samplers
import torch
from torch import Tensor

from ...imagic.denoiser import Conditioning
from ...imagic.keeping import kept_prediction, noise_of, renewed
from .denoiser import model_conds
from .latents import fitted_to

WRAPPER, AFTER = "model_function_wrapper", "sampler_post_cfg_function"
ROUNDING = 1e-2  # of a step's noise


def keeps_photo(model) -> bool:
    """Whether MODEL keeps a photo already."""
    return any(isinstance(function, PhotoKeeper) for function in model.model_options.get(AFTER, []))


def keep_photo(model, samples: Tensor, optimized: Conditioning, region: Tensor):
    """As `keeping.keep_photo`.

    Raises:
        ValueError: another node has a function around MODEL's network.
    """
    if WRAPPER in model.model_options:
        raise ValueError("Keep Photo needs a newer ComfyUI beside a node that wraps the model: update ComfyUI.")
    keeping = model.clone()
    keeper = PhotoKeeper(samples, optimized, region)
    keeping.set_model_unet_function_wrapper(keeper.show)
    keeping.set_model_sampler_post_cfg_function(keeper)
    return keeping


class PhotoKeeper:
    """A post-CFG function: turns the clean latent predicted for the edit into `kept_prediction`'s."""

    def __init__(self, photo: Tensor, optimized: Conditioning, region: Tensor):
        self.photo, self.optimized, self.region = photo, optimized, region
        self.model = self.source = self.noise = self.shown = self.highest = None
        self.level, self.steps = -1.0, 0

    def __deepcopy__(self, memo: dict) -> "PhotoKeeper":
        """As for a new run: this host copies a MODEL's options whole."""
        return PhotoKeeper(self.photo, self.optimized, self.region)

    def _begins(self, noisy: Tensor, sigma: Tensor) -> bool:
        """Whether a run begins here: the noise level rises, or is the run's highest again."""
        level = float(sigma.max())
        return self.noise is None or self.noise.shape != noisy.shape or level > self.level or level == self.highest

    def show(self, apply_model, args: dict) -> Tensor:
        """A model function wrapper: the network sees the sample with this step's noise in place of the sampler's."""
        noisy, sigma, count = args["input"], args["timestep"], len(args["cond_or_uncond"])
        if not self._begins(noisy.chunk(count)[0], sigma):
            other = renewed(self.noise, *self.shown, self.steps) - self.noise
            other = other.repeat(count, *[1] * (noisy.ndim - 1))
            noisy = noisy + _add_noise(self.model, sigma, torch.zeros_like(noisy), other)
        return apply_model(noisy, sigma, **args["c"])

    def __call__(self, args: dict) -> Tensor:
        noisy, sigma, model = args["input"], args["sigma"], args["model"]
        photo = model.process_latent_in(fitted_to(noisy, self.photo))
        if noisy.shape[1:] != photo.shape[1:]:
            raise ValueError(
                f"The sampler's latent is {list(noisy.shape[-2:])} and Keep Photo's photo {list(photo.shape[-2:])}: "
                "give the sampler the photo's own latent."
            )
        if any(entry.get(name) is not None for entry in args["cond"] for name in ("area", "control")):
            raise ValueError("Keep Photo needs a newer ComfyUI beside areas and ControlNets: update ComfyUI.")
        region, level = fitted_to(noisy, self.region), float(sigma.max())
        add_noise = partial(_add_noise, model, sigma)
        if self._begins(noisy, sigma):
            self.noise = noise_of(noisy, photo.expand_as(noisy), add_noise)
            self.model, self.shown, self.highest, self.steps = model, (photo, region), level, 0
            self.source = self._photo_text(args["cond"], noisy)
        self.level = level
        noisy_photo = add_noise(photo.expand_as(noisy), self.noise)
        # Where the photo is kept, the sample is the photo with that noise, unless the sampler adds some.
        off = (noisy - noisy_photo).abs().where(region == 0, 0).max()
        if off > ROUNDING * add_noise(torch.zeros_like(noisy), self.noise).abs().max():
            raise ValueError(
                "This sampler adds noise of its own, or goes on after another run: take euler or ddim from the first "
                "step to the last, or update ComfyUI."
            )

        def predict(_, source: Tensor) -> tuple[Tensor, Tensor]:
            return args["denoised"], self._explained(args, source)

        clean = kept_prediction(predict, noisy, noisy_photo, photo, region, add_noise, self.steps)
        self.steps += 1
        return clean

    def _photo_text(self, cond: list, noisy: Tensor) -> list:
        """The edit's entries with the photo's text. Guidance and sizes are the edit's own."""
        entries = []
        for entry in cond:
            rest = {name: value for name, value in entry.items() if name not in ("model_conds", "attention_mask")}
            text = model_conds(self.model, noisy, rest | self.optimized)
            entries.append({**entry, "model_conds": {**entry["model_conds"], **text}})
        return entries

    def _explained(self, args: dict, noisy_photo: Tensor) -> Tensor:
        """The photo through the whole guidance up to this function, under its own text."""
        before = args["model_options"][AFTER]
        options = {**args["model_options"], AFTER: before[: before.index(self)]}
        options.pop(WRAPPER)
        return comfy.samplers.sampling_function(
            self.model,
            noisy_photo,
            args["sigma"],
            args["uncond"],
            self.source,
            _cond_scale(args),
            model_options=options,
        )


def _add_noise(model, sigma: Tensor, clean: Tensor, noise: Tensor) -> Tensor:
    return model.model_sampling.noise_scaling(sigma.view(-1, *[1] * (noise.ndim - 1)), noise, clean)


def _cond_scale(args: dict) -> float:
    """The guidance scale, which this host does not say: denoised = uncond + scale * (cond - uncond)."""
    if args["uncond"] is None:
        return 1.0
    guidance = args["cond_denoised"] - args["uncond_denoised"]
    guided = args["denoised"] - args["uncond_denoised"]
    return float((guidance * guided).sum() / guidance.square().sum().clamp_min(1e-12))
