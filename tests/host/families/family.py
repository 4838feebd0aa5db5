"""One row of the table of model families, and how the host itself makes a tiny model of it."""

import dataclasses
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import comfy.model_detection
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import torch
from torch import Tensor, nn

PREFIX = "model.diffusion_model."

# Another text changes what these random networks put out by 0.6 % and 1.5 % of it; others by 3 to 200 %.
FAINT = "its random test network hardly heeds a text: both stages improve on the photo, but one by less than 0.1 %"


@dataclass(frozen=True)
class Family:
    """A family of models as ComfyUI knows it. Shapes are without the batch, which is 1."""

    name: str  # as its users call it
    config: str  # the class in comfy.supported_models that detection must choose
    full: dict  # its network's config at the widths of a real checkpoint, with few blocks
    small: dict  # what the test makes smaller, after detection
    latent: tuple[int, ...]  # [C, H, W] or [C, T, H, W]
    text: dict[str, tuple[int, ...]]  # what its text encoders give: entry of the CONDITIONING -> shape
    fixed: dict = field(default_factory=dict)  # other entries of the CONDITIONING
    markers: dict = field(default_factory=dict)  # tensors by which the host tells checkpoints apart
    inside: str = ""  # what checkpoints put before the names of the network's own
    adjust: Callable[[nn.Module], None] = lambda network: None  # makes smaller what no config reaches
    note: str = ""
    faint: str = ""  # why its random network hears a text too little for the bound on gains
    variant: bool = False  # the network of another row, told apart by its sampling alone
    bare: bool = False  # without a network, for what is refused by its config
    needs: str = ""  # a parameter of the network that tells the family from an older one
    detected: bool = True  # False: a loader of its own makes it
    refusal: str = ""  # a part of the sentence with which the nodes refuse it

    @property
    def known(self) -> bool:
        """Whether this host has the family."""
        return hasattr(comfy.supported_models, self.config) and (not self.needs or self.needs in parameters(self.full))


# Networks that take a fixed set of parameters, which has grown from host to host.
PARAMETERS = {
    "flux": ("comfy.ldm.flux.model", "FluxParams"),
    "chroma": ("comfy.ldm.chroma.model", "ChromaParams"),
    "chroma_radiance": ("comfy.ldm.chroma_radiance.model", "ChromaRadianceParams"),
    "hunyuan_video": ("comfy.ldm.hunyuan_video.model", "HunyuanVideoParams"),
}


def parameters(full: dict) -> set[str]:
    """The names of those that this host's network takes, where they are fixed."""
    if full.get("image_model") not in PARAMETERS:
        return set(full)
    module, name = PARAMETERS[full["image_model"]]
    return {"image_model"} | {
        field.name for field in dataclasses.fields(getattr(importlib.import_module(module), name))
    }


def config_of(family: Family):
    """The family's config as this host's network takes it."""
    full = {key: value for key, value in family.full.items() if key in parameters(family.full)}
    if family.bare:
        full["disable_unet_model_creation"] = True
    return getattr(comfy.supported_models, family.config)(full)


def detect(family: Family):
    """The config that the host's detection finds in a checkpoint of real widths, which has no storage here."""
    marks = {name.format(PREFIX): torch.as_tensor(value) for name, value in family.markers.items()}
    network = config_of(family).get_model(_Storage(marks), prefix=PREFIX, device=torch.device("meta")).diffusion_model
    state = {PREFIX + family.inside + name: tensor for name, tensor in network.state_dict().items()} | marks
    return comfy.model_detection.model_config_from_unet(state, PREFIX), marks


class _Storage(dict):
    """A checkpoint whose missing tensors are empty."""

    def __missing__(self, name: str) -> Tensor:
        return torch.zeros(1) if name.endswith("bias") else torch.zeros(1, 1)


@torch.inference_mode()
def build(family: Family, dtype: torch.dtype = torch.float32, manual_cast: torch.dtype | None = None):
    """A tiny MODEL of the family with seeded random weights, loaded as a node of the host loads one."""
    if family.refusal or not family.detected:
        marks = {name: torch.as_tensor(value) for name, value in family.markers.items()}
        config = config_of(family)
    else:
        config, marks = detect(family)
    config.unet_config.update(family.small)
    config.set_inference_dtype(dtype, manual_cast)
    model = config.get_model(_Storage(marks), prefix=PREFIX, device=torch.device("cpu"))
    if not family.bare:
        family.adjust(model.diffusion_model)
        model.diffusion_model.eval().requires_grad_(False)
        randomize(model.diffusion_model)
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=torch.device("cpu"))


def randomize(network: nn.Module, seed: int = 0) -> None:
    """Fill every parameter, none with zeros: a zero output layer would let no gradient through."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim > 1:
            value = noise / math.sqrt(math.prod(weight.shape[1:]))
        elif name.endswith((".weight", ".scale", ".gamma")):  # of a norm
            value = 1 + 0.1 * noise
        else:
            value = 0.1 * noise
        weight.copy_(value)
    # SD 3's positions come with the checkpoint; without one they are whatever the memory held.
    for name, buffer in network.named_buffers():
        if name.endswith("pos_embed"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))


@torch.inference_mode()
def photo(family: Family) -> dict:
    """A smooth LATENT, of which there is something to learn."""
    channels, *size = family.latent
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, channels, *[max(1, length // 4) for length in size], generator=generator)
    return {"samples": nn.functional.interpolate(coarse, size, mode="trilinear" if len(size) == 3 else "bilinear")}
