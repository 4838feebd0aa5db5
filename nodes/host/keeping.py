"""Keeping the photo while the host's own samplers draw the edit."""

import comfy.model_management
import comfy.samplers
import torch
from torch import Tensor

from ...imagic.denoiser import Conditioning
from ...imagic.keeping import edit_region, edited_latent, reordered
from .denoiser import HostDenoiser, model_conds


def find_region(model, samples: Tensor, optimized: Conditioning, target: Conditioning, fixed: dict, threshold: float):
    """`edit_region` on MODEL, loaded as for sampling: [1, 1, ...] on the CPU.

    Args:
        samples: the LATENT's samples, [1, C, ...], in the autoencoder's scale.
        fixed: entries of the CONDITIONING that are no text tensors.
    """
    comfy.model_management.load_models_gpu([model], memory_required=model.model.memory_required(samples.shape))
    # Newer hosts let a model know its patcher while it runs.
    begin, end = getattr(model, "pre_run", lambda: None), getattr(model, "cleanup", lambda: None)
    try:
        begin()
        device = model.load_device
        latent = model.model.process_latent_in(samples).to(device, torch.float32)
        texts = [{name: tensor.to(device) for name, tensor in text.items()} for text in (optimized, target)]
        return edit_region(HostDenoiser(model, fixed), latent, *texts, threshold=threshold).cpu()
    finally:
        end()


def keep_photo(model, samples: Tensor, optimized: list, region: Tensor):
    """A clone of MODEL whose samplers draw an edit of the photo, see `PhotoKeeper`.

    Raises:
        ValueError: MODEL keeps a photo already.
    """
    keeping = model.clone()
    if any(isinstance(function, PhotoKeeper) for function in keeping.model_options.get(_AFTER, [])):
        raise ValueError("This MODEL keeps a photo already: connect the MODEL that went into the other Keep Photo.")
    keeper = PhotoKeeper(samples, optimized, region, keeping.model_options.get(_WRAPPER))
    keeping.set_model_unet_function_wrapper(keeper.look)
    keeping.set_model_sampler_post_cfg_function(keeper)
    return keeping


_WRAPPER, _AFTER = "model_function_wrapper", "sampler_post_cfg_function"


class PhotoKeeper:
    """A post-CFG function: turns the clean latent predicted for the edit into `edited_latent`.

    It is for samplers that add no noise of their own: these give the photo back exactly at eta 0.
    """

    def __init__(self, latent: Tensor, optimized: list, region: Tensor, wrapper=None):
        """
        Args:
            latent: the photo, [1, C, ...], in the autoencoder's scale.
            optimized: the CONDITIONING that explains the photo.
            region: where the photo may change, [1, 1, ...], 0..1.
            wrapper: the model function wrapper that the MODEL had, if any.
        """
        self.latent, self.optimized, self.region, self.wrapper = latent, optimized, region, wrapper
        self.level, self.highest, self.levels = -1.0, None, None
        # The sampler's own noise, and the one that this step of it looks through.
        self.noise, self.through, self.steps = None, None, 0
        self.source, self.model = None, None

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
            self._begin(args, photo)
        self.level, self.levels = float(sigma.max()), run.get("sample_sigmas")
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
        return edited_latent(photo, args["denoised"], explained, self.region.to(noisy.device, noisy.dtype))

    def _begins(self, noisy: Tensor, sigma: Tensor, run: dict) -> bool:
        """Whether a sampler takes its first step here.

        Args:
            run: the host's transformer options, which hold all levels of a run, an object of its own for each.
        """
        if self.noise is None or self.noise.shape != noisy.shape:
            return True
        levels = run.get("sample_sigmas")
        if levels is None:
            # March 2024 does not tell: most samplers' levels only fall within a run, or stay for a second look.
            level = float(sigma.max())
            return level > self.level or level == self.highest
        if levels is self.levels or self.levels is None:
            return levels is not self.levels
        # A second sampler that goes on where the first one stopped still has its noise.
        return not 0 < float(levels[0]) == float(self.levels[-1])

    def _begin(self, args: dict, photo: Tensor) -> None:
        """Find the noise that the sampler starts from, and what the model is to be told of the photo."""
        self.model, noisy, sigma = args["model"], args["input"], args["sigma"]
        clean = _add_noise(self.model, photo, torch.zeros_like(noisy), sigma)
        scale = _add_noise(self.model, torch.zeros_like(photo), torch.ones_like(noisy), sigma)
        self.noise, self.highest = (noisy - clean) / scale, float(sigma.max())
        self.through, self.steps = self.noise, 0

        tokens, extras = self.optimized[0]
        text = model_conds(self.model, noisy, {**extras, "cross_attn": tokens})
        # The edit's own entries otherwise: areas and controls act on both alike.
        self.source = [{**entry, "model_conds": {**entry["model_conds"], **text}} for entry in args["cond"]]

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
