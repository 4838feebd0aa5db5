"""Pictures to latents and back, through a pipeline's own processor and autoencoder."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from ..checks import finite
from ..photo import normalized


@torch.no_grad()
def encode(pipeline: DiffusionPipeline, picture: Image.Image, multiple: int) -> Tensor:
    """The latent [1, C, ...], fp32, in the network's scale, of a picture scaled down to what the network can take.

    Pictures of every kind come as `normalized` makes them.

    Args:
        multiple: what a latent's height and width must be divisible by.

    Raises:
        ValueError: the picture is smaller than that or cannot be read, or the autoencoder makes NaN of it.
    """
    picture = normalized(picture)
    unit = pipeline.vae_scale_factor * multiple
    width, height = (length // unit * unit for length in picture.size)
    if not width or not height:
        raise ValueError(f"The photo is {picture.width} x {picture.height}: it needs at least {unit} x {unit} pixels.")
    pixels = pipeline.image_processor.preprocess(picture, height=height, width=width)
    with _exact(pipeline.vae) as vae:
        if makes_video(vae):
            pixels = pixels.unsqueeze(2)
        encoded = vae.encode(pixels.to(pipeline._execution_device, vae.dtype))
    # Tiny autoencoders give the latent, others its distribution; the mode is its mean, where nothing is left to chance.
    latent = (encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()).float().contiguous()
    finite("The photo's latent", latent, "load the pipeline's autoencoder in fp32")
    scale, shift = _scale_and_shift(vae, latent)
    return (latent - shift) * scale


@torch.no_grad()
def decode(pipeline: DiffusionPipeline, latent: Tensor, output_type: str = "pil") -> Any:
    """The picture of a latent [1, C, ...] in the network's scale.

    Args:
        output_type: of the pipeline's image processor: "pil", "np" for [H, W, 3] or "pt" for [3, H, W] in 0..1.
    """
    with _exact(pipeline.vae) as vae:
        scale, shift = _scale_and_shift(vae, latent)
        pixels = vae.decode((latent / scale + shift).to(vae.dtype)).sample.float()
    finite("The picture", pixels, "load the pipeline and its autoencoder in bf16 or fp32")
    if makes_video(vae):
        pixels = pixels[:, :, 0]
    return pipeline.image_processor.postprocess(pixels, output_type=output_type)[0]


def makes_video(vae: torch.nn.Module) -> bool:
    """Whether it has a dimension for time, where a picture is the first of one frames."""
    return hasattr(vae, "temperal_downsample")


def _scale_and_shift(vae: Any, latent: Tensor) -> tuple[Tensor, Tensor]:
    """The network's latent is (latent - shift) * scale: numbers for some autoencoders, for others one per channel."""
    config, shape = vae.config, (1, -1, *[1] * (latent.ndim - 2))
    scale = torch.tensor(config.get("scaling_factor") or 1.0, device=latent.device)
    if config.get("latents_mean") is None or config.get("latents_std") is None:
        return scale, torch.tensor(config.get("shift_factor") or 0.0, device=latent.device)
    mean, std = (
        torch.tensor(config[name], device=latent.device).view(shape) for name in ("latents_mean", "latents_std")
    )
    return scale / std, mean


@contextmanager
def _exact(vae: Any) -> Iterator[Any]:
    """Inside, an autoencoder that overflows in fp16 and says so works in fp32; there and back no weight changes."""
    overflows = vae.dtype == torch.float16 and vae.config.get("force_upcast")
    try:
        yield vae.float() if overflows else vae
    finally:
        if overflows:
            vae.half()
