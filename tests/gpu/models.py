"""Networks of real sizes with random weights: memory and time ask for no sense. Texts are random, too."""

import torch
from diffusers import (
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import Tensor

from imagic.denoiser import Conditioning
from tests.benchmarks.full_size import SDXL
from tests.benchmarks.models import scheduler, unet_config

NAMES = {"demo": "demo model", "sd15": "Stable Diffusion 1.5", "sdxl": "SDXL", "flux": "Flux.1 dev"}
SHIFT = {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}  # Flux.1 dev's


def pipeline(name: str, device: str, dtype: torch.dtype) -> DiffusionPipeline:
    """A pipeline of the network alone, made in place: two copies of Flux fit no card."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            network = _network(name)
    finally:
        torch.set_default_dtype(before)
    network.eval().requires_grad_(False)
    if name == "flux":
        flow = FlowMatchEulerDiscreteScheduler(**SHIFT)
        return FluxPipeline(flow, None, None, None, None, None, network)
    if name == "sdxl":
        return StableDiffusionXLPipeline(None, None, None, None, None, network, scheduler())
    return StableDiffusionPipeline(None, None, None, network, scheduler(), None, None, requires_safety_checker=False)


def example(name: str, pixels: int, device: str) -> tuple[Tensor, Conditioning, Conditioning | None]:
    """A latent, a text and its counterpart for guidance, where the family has one."""
    generator = torch.Generator().manual_seed(0)
    channels = 16 if name == "flux" else 4
    latent = torch.randn(1, channels, pixels // 8, pixels // 8, generator=generator).to(device)
    tokens, width = (512, 4096) if name == "flux" else (77, {"demo": 128, "sd15": 768, "sdxl": 2048}[name])
    texts = [{"cross_attn": torch.randn(1, tokens, width, generator=generator).to(device)} for _ in range(2)]
    if pooled := {"sdxl": 1280, "flux": 768}.get(name):
        for text in texts:
            text["pooled_output"] = torch.randn(1, pooled, generator=generator).to(device)
    return latent, texts[0], None if name == "flux" else texts[1]


def _network(name: str) -> torch.nn.Module:
    if name == "flux":
        return FluxTransformer2DModel(guidance_embeds=True)  # whose defaults are Flux.1's
    return UNet2DConditionModel(**(SDXL if name == "sdxl" else unet_config(name)))
