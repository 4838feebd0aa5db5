"""ComfyUI's MODEL as a `Denoiser`."""

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch import Tensor

from ...imagic.denoiser import Conditioning
from .versions import convert_cond, is_flow


def model_conds(base, noisy: Tensor, entry: dict) -> dict:
    """What the host's model makes of an entry of a CONDITIONING, its text under "cross_attn", for latents like `noisy`.

    A size that the entry names itself, as SDXL's text encoder nodes do, goes before that of the latent. The latter is
    eight times the latent's on every host for every model: what samplers give a model, training has to give it.
    """
    size = {"width": noisy.shape[-1] * 8, "height": noisy.shape[-2] * 8}
    inputs = {**size, "prompt_type": "positive", **entry, "noise": noisy, "device": noisy.device}
    # Older hosts name the tokens here already; of Stable Cascade nothing else does, and they cannot do without.
    return convert_cond([[entry["cross_attn"], {}]])[0]["model_conds"] | base.extra_conds(**inputs)


def latent_channels(model) -> int:
    """Channels of the latents MODEL works on. Older hosts say it by what previews mix them by, a row a channel."""
    latent_format = model.model.latent_format
    return getattr(latent_format, "latent_channels", None) or len(latent_format.latent_rgb_factors)


def has_code_inside(model) -> bool:
    """Whether nodes before have put code of their own into MODEL's network: patches, or in place of layers' own."""
    options = model.model_options.get("transformer_options", {})
    return any(options.get(name) for name in ("patches", "patches_replace", "wrappers")) or bool(
        getattr(model, "injections", None)
    )


# For hosts without `spacial_downscale_ratio`. The default is 8.
_PIXELS = {"SC_Prior": 42, "SC_B": 4, "LTXV": 32, "Wan22": 16, "HunyuanImage21": 32, "ChromaRadiance": 1}


def pixels_per_position(model) -> int:
    """How many pixels a position of MODEL's latents has on each side."""
    latent_format = model.model.latent_format
    known = _PIXELS.get(type(latent_format).__name__, 8)
    return getattr(latent_format, "spacial_downscale_ratio", known)


class HostDenoiser:
    """The host's loaded model behind the one abstraction of `imagic`.

    Everything model-specific is asked of the host: its sampling object knows the schedule, how noise is added and what
    the network predicts, `extra_conds` knows what a prompt becomes, `apply_model` runs the network.
    """

    # Until `probe` has found out.
    overwrites = False

    def __init__(self, model, fixed: dict):
        """
        Args:
            model: a ModelPatcher whose model is loaded.
            fixed: entries of the CONDITIONING that are no text tensors, passed on as they are (sizes, guidance, ...).
        """
        self.base = model.model
        self.network = self.base.diffusion_model
        self.device = model.load_device
        self.flow = is_flow(self.base.model_sampling)
        self.dtype = self.base.manual_cast_dtype or self.base.get_dtype()
        self.fixed = fixed
        # Such code may ask for the noise level and is told one of a batch, since a sampler's are all the same. So may
        # networks that were distilled to go from one level to another (MeanFlow, arXiv 2505.13447).
        between_levels = getattr(self.network, "time_r_in", None) is not None
        self.one_level_at_a_time = has_code_inside(model) or between_levels
        self.options = {
            **model.model_options.get("transformer_options", {}),
            "cond_or_uncond": [0],
            # The host's choice may be a kernel without a backward. Hosts too old to know this key have none of those.
            "optimized_attention_override": lambda _, *args, **kwargs: attention_pytorch(*args, **kwargs),
        }

    def sigma(self, quantile: Tensor) -> Tensor:
        percent_to_sigma = self.base.model_sampling.percent_to_sigma
        return torch.tensor([percent_to_sigma(1 - q) for q in quantile.tolist()], device=self.device)

    def add_noise(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return self.base.model_sampling.noise_scaling(sigma.view(-1, *[1] * (noise.ndim - 1)), noise, latent)

    def loss_weight(self, sigma: Tensor) -> Tensor:
        # calculate_denoised is linear in the model's output: probe its slope.
        shape = (len(sigma), 1, 1, 1)
        zero, one = torch.zeros(shape, device=sigma.device), torch.ones(shape, device=sigma.device)
        denoised = self.base.model_sampling.calculate_denoised
        return (denoised(sigma, one, zero) - denoised(sigma, zero, zero)).flatten().square().reciprocal()

    def __call__(self, noisy: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        # Whatever asks the model ends within an evaluation when the user cancels: older hosts ask this nowhere below.
        comfy.model_management.throw_exception_if_processing_interrupted()
        if self.one_level_at_a_time and len(sigma) > 1:
            each = zip(noisy.split(1), sigma.split(1), strict=True)
            return torch.cat([self(sample, level, conditioning) for sample, level in each])
        # A network that looks for its sampler's next level finds this one: what it then says is its velocity here.
        options = {**self.options, "sigmas": sigma, "sample_sigmas": sigma.repeat(2)}
        return self.base.apply_model(noisy, sigma, transformer_options=options, **self.inputs(noisy, conditioning))

    def inputs(self, noisy: Tensor, conditioning: Conditioning) -> dict:
        """What the host makes of the conditioning for a batch: the network's arguments by name."""
        count, size = len(noisy), tuple(noisy.shape[2:])
        area = (*size, *[0 for _ in size])  # the whole latent; older hosts cannot do without
        # Copies, for some networks write into the text they are given.
        text = {name: tensor.clone() for name, tensor in conditioning.items()}
        return {
            name: cond.process_cond(batch_size=count, device=self.device, area=area).cond
            for name, cond in model_conds(self.base, noisy, {**self.fixed, **text}).items()
        }
