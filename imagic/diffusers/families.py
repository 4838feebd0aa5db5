"""What differs between families of networks: how a text is encoded, and how the network is called."""

import inspect
from typing import Any, ClassVar

import diffusers
import torch
from diffusers import DiffusionPipeline
from packaging.version import Version
from torch import Tensor

from ..denoiser import Conditioning
from ..edit_fit import Takes
from .pictures import makes_video


class PipelineFamily:
    """A pipeline's network and texts; what a family leaves out is as in Stable Diffusion 1 and 2."""

    part = "unet"  # of the pipeline
    multiple = 1  # of a latent's height and width
    patch = 1  # latent positions that are one of the network's inputs
    since = "0.30"  # the first diffusers whose network is called as here
    guidance = 4.0  # by default
    reads: ClassVar[tuple[str, ...]] = ("cross_attn",)  # of a text
    prompt_options: ClassVar[dict] = {"do_classifier_free_guidance": True}

    def __init__(self, pipeline: DiffusionPipeline):
        self.pipeline = pipeline
        self.network = _uncompiled(getattr(pipeline, self.part))
        # A network that is offloaded waits on another device for its turn.
        self.device = getattr(pipeline, "_execution_device", self.network.device)

    def takes(self) -> Takes:
        """What the network takes of an edit."""
        config = self.network.config
        pooled = config.get("pooled_projection_dim")
        if config.get("addition_embed_type") == "text_time":
            pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
        tokens = config.get("cross_attention_dim") or config.get("joint_attention_dim")
        widths = {"cross_attn": tokens, "pooled_output": pooled}
        return Takes(
            channels=config["in_channels"] // self.patch,
            dimensions=3 if makes_video(self.pipeline.vae) else 2,
            multiple=self.multiple,
            # Of a UNet whose blocks read several texts the widths are a list.
            widths={name: width for name, width in widths.items() if name in self.reads and isinstance(width, int)},
        )

    @torch.no_grad()
    def texts(self, text: str) -> tuple[Conditioning, Conditioning | None]:
        """The text and its counterpart for classifier-free guidance, which families without such guidance lack."""
        options = {"device": self.device, "num_images_per_prompt": 1, **self.prompt_options}
        embedded = self.pipeline.encode_prompt(text, **options)
        # Pairs: tokens with and without the text, and with them, where the family has it, the pooled embedding.
        names = ("cross_attn", "pooled_output")[: len(embedded) // 2]
        return dict(zip(names, embedded[::2], strict=True)), dict(zip(names, embedded[1::2], strict=True))

    def predict(self, noisy: Tensor, timestep: Tensor, text: Conditioning) -> Tensor:
        """The network's output for latents [N, C, ...] at timesteps [N], with texts [N, ...]."""
        return self.network(noisy, timestep, encoder_hidden_states=text["cross_attn"]).sample


class StableDiffusionXL(PipelineFamily):
    reads: ClassVar[tuple[str, ...]] = ("cross_attn", "pooled_output")

    def predict(self, noisy: Tensor, timestep: Tensor, text: Conditioning) -> Tensor:
        pooled = text["pooled_output"]
        size = tuple(length * self.pipeline.vae_scale_factor for length in noisy.shape[-2:])
        ids = self.pipeline._get_add_time_ids(size, (0, 0), size, noisy.dtype, pooled.shape[-1])
        added = {"text_embeds": pooled, "time_ids": ids.to(noisy.device).expand(len(noisy), -1)}
        tokens = text["cross_attn"]
        return self.network(noisy, timestep, encoder_hidden_states=tokens, added_cond_kwargs=added).sample


class StableDiffusion3(PipelineFamily):
    part, multiple = "transformer", 2
    reads: ClassVar[tuple[str, ...]] = ("cross_attn", "pooled_output")
    prompt_options: ClassVar[dict] = {"do_classifier_free_guidance": True, "prompt_2": None, "prompt_3": None}

    def predict(self, noisy: Tensor, timestep: Tensor, text: Conditioning) -> Tensor:
        tokens, pooled = text["cross_attn"], text["pooled_output"]
        return self.network(noisy, tokens, pooled_projections=pooled, timestep=timestep).sample


class Packed(PipelineFamily):
    """Families whose network takes patches of 2 x 2 latent positions as tokens, and timesteps from 0 to 1."""

    part, multiple, patch = "transformer", 2, 4

    def predict(self, noisy: Tensor, timestep: Tensor, text: Conditioning) -> Tensor:
        count, channels, (height, width) = len(noisy), noisy.shape[1], noisy.shape[-2:]
        options = self.positions(height // 2, width // 2, text)
        if self.network.config.guidance_embeds:
            options["guidance"] = torch.full((count,), self.guidance, device=noisy.device)
        patches = self.pipeline._pack_latents(noisy.contiguous(), count, channels, height, width)
        tokens = text["cross_attn"]
        out = self.network(patches, encoder_hidden_states=tokens, timestep=timestep / 1000, **options).sample
        scale = self.pipeline.vae_scale_factor
        return self.pipeline._unpack_latents(out, height * scale, width * scale, scale)

    def positions(self, height: int, width: int, text: Conditioning) -> dict:
        """The network's inputs that tell where its tokens are, for so many patches."""
        raise NotImplementedError


class Flux(Packed):
    since = "0.32"  # before, positions and sizes were counted twice as large
    guidance = 3.5  # an input of the network, which was distilled from guidance: there is no second prediction
    reads: ClassVar[tuple[str, ...]] = ("cross_attn", "pooled_output")

    def texts(self, text: str) -> tuple[Conditioning, None]:
        with torch.no_grad():
            tokens, pooled, _ = self.pipeline.encode_prompt(text, None, device=self.device)
        return {"cross_attn": tokens, "pooled_output": pooled}, None

    def positions(self, height: int, width: int, text: Conditioning) -> dict:
        tokens, pooled = text["cross_attn"], text["pooled_output"]
        image = self.pipeline._prepare_latent_image_ids(len(tokens), height, width, tokens.device, tokens.dtype)
        return {"pooled_projections": pooled, "img_ids": image, "txt_ids": image.new_zeros(tokens.shape[1], 3)}


class QwenImage(Packed):
    since = "0.37"  # before, it asked for the lengths of the texts as well
    reads: ClassVar[tuple[str, ...]] = ("cross_attn", "attention_mask")

    def texts(self, text: str) -> tuple[Conditioning, Conditioning]:
        with torch.no_grad():
            # The network has never seen an empty text; diffusers' own pipelines take a space.
            both = [self.pipeline.encode_prompt(part, device=self.device) for part in (text, " ")]
        wanted, empty = (
            {"cross_attn": tokens} if mask is None else {"cross_attn": tokens, "attention_mask": mask}
            for tokens, mask in both
        )
        return wanted, empty

    def positions(self, height: int, width: int, text: Conditioning) -> dict:
        shapes = [[(1, height, width)]] * len(text["cross_attn"])
        return {"img_shapes": shapes, "encoder_hidden_states_mask": text.get("attention_mask")}


def _uncompiled(network: Any) -> Any:
    """The network that `torch.compile` has wrapped: training hooks into its layers, which no compiled graph knows."""
    return getattr(network, "_orig_mod", network)


def family_of(pipeline: DiffusionPipeline) -> PipelineFamily:
    """How to use a pipeline's network.

    Raises:
        ValueError: Imagic does not know the network, or it takes more than noisy latents and a text.
    """
    network = _uncompiled(getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None))
    config = getattr(network, "config", {})
    families = {
        "UNet2DConditionModel": StableDiffusionXL
        if config.get("addition_embed_type") == "text_time"
        else PipelineFamily,
        "SD3Transformer2DModel": StableDiffusion3,
        "FluxTransformer2DModel": Flux,
        "QwenImageTransformer2DModel": QwenImage,
    }
    # Somebody's own class of network is of its base's family. By name, for older diffusers lack some of these.
    kinds = (kind.__name__ for kind in type(network).__mro__)
    family = next((families[kind] for kind in kinds if kind in families), None)
    name = type(pipeline).__name__
    if family is None:
        raise ValueError(
            f"Imagic does not know the network of {name}: use a text-to-image pipeline of Stable Diffusion, SDXL, SD3, "
            "Flux or Qwen-Image."
        )
    if Version(diffusers.__version__).release < Version(family.since).release:
        raise ValueError(f"diffusers {diffusers.__version__} is too old for {name}: install {family.since} or newer.")
    # What an inpainting model sees besides the noise are further channels; what an edit model sees, further tokens.
    patch = config["patch_size"] ** 2 if issubclass(family, Packed) else 1
    more_channels = config["out_channels"] not in (None, config["in_channels"] // patch)
    if more_channels or "image" in inspect.signature(type(pipeline).__call__).parameters:
        raise ValueError(f"{name} takes a further picture as input: use the text-to-image pipeline of the same family.")
    extra = [key for key in ("time_cond_proj_dim", "class_embed_type", "encoder_hid_dim_type") if config.get(key)]
    if config.get("addition_embed_type") not in (None, "text_time"):
        extra.append("addition_embed_type")
    if extra:
        raise ValueError(f"The UNet of {name} asks for {' and '.join(extra)}, which Imagic cannot give it.")
    if getattr(network, "peft_config", None):
        raise ValueError(f"{name} has LoRAs beside its layers: call unload_lora_weights, after fuse_lora to keep them.")
    if not all(weight.is_floating_point() for weight in network.parameters()):
        raise ValueError(f"The weights of {name} are quantized: load it in fp16, bf16 or fp32.")
    return family(pipeline)
