"""What is timed: the demo model, and a random one of exactly Stable Diffusion 1.5's size: speed asks for no sense."""

from types import SimpleNamespace

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from demo import load
from imagic.denoiser import Conditioning
from imagic.diffusers import DiffusersDenoiser

# Latents of 128 px, the demo model's own size, and of 256 px: 512 px take a CPU minutes a step.
SIZES = {"demo": 16, "sd15": 32}
# Memory is compared at 512 px: what grows with the picture counts for little at 256 px beside the weights.
MEMORY_SIZES = {"demo": 16, "sd15": 64}

_SD15 = {  # runwayml/stable-diffusion-v1-5, unet/config.json
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}


def unet(name: str) -> UNet2DConditionModel:
    if name == "demo":
        return load.unet().eval()
    torch.manual_seed(0)
    return UNet2DConditionModel(**_SD15).eval()


def scheduler() -> DDIMScheduler:
    return DDIMScheduler.from_pretrained(load.MODEL / "scheduler")


def denoiser(name: str) -> DiffusersDenoiser:
    return DiffusersDenoiser(SimpleNamespace(unet=unet(name), scheduler=scheduler()))


def example(name: str, side: int | None = None) -> tuple[Tensor, Conditioning]:
    """A latent with so many positions on each side and a text of 77 tokens."""
    width = 128 if name == "demo" else _SD15["cross_attention_dim"]
    generator = torch.Generator().manual_seed(0)
    side = side or SIZES[name]
    latent = torch.randn(1, 4, side, side, generator=generator)
    return latent, {"cross_attn": torch.randn(1, 77, width, generator=generator)}


def host_unet_config(name: str) -> dict:
    """The same network as arguments of ComfyUI's `UNetModel`."""
    config = unet_config(name)
    channels, layers = config["block_out_channels"], config["layers_per_block"]
    attends = [int("CrossAttn" in block) for block in config["down_block_types"]]
    return {
        "image_size": SIZES[name],
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": channels[0],
        "channel_mult": [width // channels[0] for width in channels],
        "num_res_blocks": [layers for _ in channels],
        "transformer_depth": [depth for depth in attends for _ in range(layers)],
        "transformer_depth_output": [depth for depth in attends for _ in range(layers + 1)],
        "transformer_depth_middle": 1,
        "num_heads": config["attention_head_dim"],  # diffusers' historical name for the number of heads
        "context_dim": config["cross_attention_dim"],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": False,
        "use_temporal_attention": False,
        "use_checkpoint": False,
        "legacy": False,
        "adm_in_channels": None,
        "dtype": torch.float32,
    }


def unet_config(name: str) -> dict:
    if name == "sd15":
        return _SD15
    return dict(UNet2DConditionModel.load_config(load.MODEL / "unet"))


@torch.no_grad()
def fill(network: nn.Module) -> None:
    """Random weights for a network that its host leaves uninitialised."""
    generator = torch.Generator().manual_seed(0)
    for name, weight in network.named_parameters():
        if weight.ndim > 1:
            weight.normal_(0, 0.02, generator=generator)
        else:
            weight.fill_(1.0 if name.endswith("weight") else 0.0)
