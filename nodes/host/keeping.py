"""Keeping the photo while the host's own samplers draw the edit."""

import copy

import comfy.samplers
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ...imagic.denoiser import Conditioning
from ...imagic.keeping import edited_latent, reordered
from ...imagic.region import edit_region
from .denoiser import model_conds
from .evaluating import evaluating


def find_region(model, samples: Tensor, optimized: Conditioning, target: Conditioning, fixed: dict, threshold: float):
    """`edit_region` on MODEL, loaded as for sampling: [1, 1, ...] on the CPU.

    Args:
        samples: the LATENT's samples, [1, C, ...], in the autoencoder's scale.
        fixed: entries of the CONDITIONING that are no text tensors.
    """
    with evaluating(model, samples, [optimized, target], fixed) as (denoiser, latent, texts):
        return edit_region(denoiser, latent, *texts, threshold=threshold).cpu()


def keep_photo(model, samples: Tensor, optimized: Conditioning, region: Tensor):
    """A clone of MODEL whose samplers draw an edit of the photo, see `PhotoKeeper`.

    Raises:
        ValueError: MODEL keeps a photo already.
    """
    if any(isinstance(function, PhotoKeeper) for function in model.model_options.get(_AFTER, [])):
        raise ValueError("This MODEL keeps a photo already: connect the MODEL that went into the other Keep Photo.")
    keeping = model.clone()
    keeper = PhotoKeeper(samples, optimized, region, keeping.model_options.get(_WRAPPER))
    keeping.set_model_unet_function_wrapper(keeper.look)
    keeping.set_model_sampler_post_cfg_function(keeper)
    return keeping


_WRAPPER, _AFTER = "model_function_wrapper", "sampler_post_cfg_function"


class PhotoKeeper:
    """A post-CFG function: turns the clean latent predicted for the edit into `edited_latent`.

    It is for samplers that step along the prediction it gives and add no noise of their own: these give the photo back
    exactly at eta 0.
    """

    def __init__(self, latent: Tensor, optimized: Conditioning, region: Tensor, wrapper=None):
        """
        Args:
            latent: the photo, [1, C, ...], in the autoencoder's scale.
            optimized: the text tensors that explain the photo.
            region: where the photo may change, [1, 1, ...], 0..1.
            wrapper: the model function wrapper that the MODEL had, if any.
        """
        self.latent, self.optimized, self.region, self.wrapper = latent, optimized, region, wrapper
        self.level, self.highest, self.lowest, self.levels = -1.0, None, 0.0, None
        # The sampler's own noise, and the one that this step of it looks through.
        self.noise, self.through, self.steps = None, None, 0
        # What a second sampler needs that goes on where one has stopped: noise and steps, by shape and level.
        self.stopped: dict[tuple, tuple[Tensor, int]] = {}
        self.source, self.model = None, None

    def __deepcopy__(self, memo: dict) -> "PhotoKeeper":
        """As for a new run: hosts up to 2025 copy a MODEL's options whole, and the model would be copied with them."""
        return PhotoKeeper(self.latent, self.optimized, self.region, copy.deepcopy(self.wrapper, memo))

    def look(self, apply_model, args: dict) -> Tensor:
        """A model function wrapper: shows the model the sample with this step's noise in place of the sampler's own."""
        noisy, sigma = args["input"], args["timestep"]
        count = len(args["cond_or_uncond"])
        if not self._begins(noisy.chunk(count)[0], sigma, args["c"].get("transformer_options", {})):
            other = (self.through - self.noise).repeat(count, *[1] * (noisy.ndim - 1))
            args = {**args, "input": noisy + _add_noise(self.model, torch.zeros_like(noisy), other, sigma)}
        if self.wrapper:
            return self.wrapper(apply_model, args)
        return apply_model(args["input"], sigma, **args["c"])

    def __call__(self, args: dict) -> Tensor:
        noisy, sigma = args["input"], args["sigma"]
        photo = args["model"].process_latent_in(self.latent.to(noisy.device, noisy.dtype))
        run = args["model_options"].get("transformer_options", {})
        if self._begins(noisy, sigma, run):
            self._begin(args, photo, run.get("sample_sigmas"))
        self.level = float(sigma.max())
        noisy_photo = _add_noise(self.model, photo, self.through, sigma)
        # What shapes the guidance before this function shapes both alike; what comes after it is added to the edit.
        before = args["model_options"][_AFTER]
        options = {**args["model_options"], _AFTER: before[: before.index(self)]}
        if options.get(_WRAPPER) == self.look:
            options[_WRAPPER] = self.wrapper
        if options.get(_WRAPPER) is None:
            options.pop(_WRAPPER, None)
        explained = comfy.samplers.sampling_function(
            self.model, noisy_photo, sigma, args["uncond"], self.source, _cond_scale(args), options
        )
        if self._may_swap(args):
            self.steps += 1
            self.through = reordered(self.noise, self.steps)
        if self.lowest > 0:
            self.stopped[noisy.shape, self.lowest] = self.noise, self.steps
        return edited_latent(photo, args["denoised"], explained, self.region.to(noisy.device, noisy.dtype))

    def _begins(self, noisy: Tensor, sigma: Tensor, run: dict) -> bool:
        """Whether a sampler takes its first step here.

        Args:
            run: the host's transformer options, which hold all levels of a run.
        """
        if self.noise is None or self.noise.shape != noisy.shape:
            return True
        levels = run.get("sample_sigmas")
        if levels is None:
            # March 2024 does not tell: most samplers' levels only fall within a run, or stay for a second look.
            level = float(sigma.max())
            return level > self.level or level == self.highest
        # Mostly an object of its own for each run; a node's cached SIGMAS are the same one again, from the start.
        return levels is not self.levels or self.level < float(levels[0]) == float(sigma.max())

    def _begin(self, args: dict, photo: Tensor, levels: Tensor | None) -> None:
        """Find the noise that the sampler starts from, and what the model is to be told of the photo.

        Args:
            levels: all levels of the run, where the host tells them.
        """
        self.model, noisy, sigma = args["model"], args["input"], args["sigma"]
        self.levels, self.highest = levels, float(sigma.max())
        self.lowest = 0.0 if levels is None else float(levels[-1])
        clean = _add_noise(self.model, photo, torch.zeros_like(noisy), sigma)
        scale = _add_noise(self.model, torch.zeros_like(photo), torch.ones_like(noisy), sigma)
        self.noise, self.steps = (noisy - clean) / scale, 0
        if levels is not None and (noisy.shape, float(levels[0])) in self.stopped:
            noise, steps = self.stopped[noisy.shape, float(levels[0])]
            # A sampler may also begin here by itself, with other noise of its own. Else the quotient is the noise as it
            # was and what has been edited so far: where that is little they are alike, where it is much it stands out.
            chance = 4 / noise.numel() ** 0.5
            alike = cosine_similarity(noise.flatten(), self.noise.flatten(), 0) > chance
            if alike or self.noise.std() > 1 + chance:
                self.noise, self.steps = noise, steps
        self.through = self.noise  # as the model was shown it in this first step

        # The edit's own entries but for the text: guidance, sizes, areas and controls act on both alike.
        self.source = []
        for entry in args["cond"]:
            # Hosts may make an entry of the negative's: a mask of its tokens is not for this text.
            rest = {name: value for name, value in entry.items() if name not in ("model_conds", "attention_mask")}
            text = model_conds(self.model, noisy, rest | self.optimized)
            self.source.append({**entry, "model_conds": {**entry["model_conds"], **text}})

    def _may_swap(self, args: dict) -> bool:
        """Not where the model is shown less than the whole or a control has seen the sampler's noise before, nor where
        another node has taken the wrapper's place since."""
        entries = [*args["cond"], *(args["uncond"] or [])]
        seen = any(entry.get(name) is not None for entry in entries for name in ("area", "control"))
        # Hosts that share a step out among several GPUs copy the levels, by which runs are told apart.
        alone = "multigpu_clones" not in args["model_options"]
        return alone and not seen and args["model_options"].get(_WRAPPER) == self.look


def _add_noise(model, photo: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    return model.model_sampling.noise_scaling(sigma.view(-1, *[1] * (noise.ndim - 1)), noise, photo)


def _cond_scale(args: dict) -> float:
    """The guidance scale, which hosts of March 2024 do not say: denoised = uncond + scale * (cond - uncond)."""
    if "cond_scale" in args:
        return args["cond_scale"]
    if args["uncond"] is None:
        return 1.0
    guidance = args["cond_denoised"] - args["uncond_denoised"]
    guided = args["denoised"] - args["uncond_denoised"]
    return float((guidance * guided).sum() / guidance.square().sum().clamp_min(1e-12))
