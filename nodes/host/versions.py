"""Where hosts of different ages want to be asked in different ways. The rest of this package asks them all alike.

Each way is chosen by what the host has, not by its number: packages of ComfyUI come in many in-between states.
"""

import inspect
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import comfy.cli_args
import comfy.model_management
import comfy.model_sampling
import torch

try:
    from comfy.sampler_helpers import convert_cond
except ImportError:  # March 2024
    from comfy.sample import convert_cond

try:
    from comfyui_version import __version__ as version
except ImportError:  # March 2024
    version = None

# Of the options that the host is started with, those that numbers depend on.
CALCULATING = re.compile("fast|deterministic|.*(attention|fp8_compute|triton_backend|channels_last)")

__all__ = [
    "as_the_host_moves_weights",
    "convert_cond",
    "host_knows_it_trains",
    "how_it_calculates",
    "is_flow",
    "load_whole",
    "loaded_with",
    "not_streamed",
    "running",
    "smallest_side",
    "take_off_device",
    "type_handed_on",
    "version",
]


def how_it_calculates() -> dict[str, Any]:
    """What the host and PyTorch are told that numbers depend on in their last bits, by name."""
    told = {name: value for name, value in vars(comfy.cli_args.args).items() if CALCULATING.fullmatch(name)}
    cuda = torch.backends.cuda
    return told | {
        "allow_tf32": cuda.matmul.allow_tf32,
        "allow_fp16_accumulation": getattr(cuda.matmul, "allow_fp16_accumulation", None),
        "fp16_bf16_reduction_math_sdp": getattr(cuda, "fp16_bf16_reduction_math_sdp_allowed", bool)(),
    }


@contextmanager
def running(model) -> Iterator[None]:
    """Newer hosts let a model know its patcher while it runs."""
    begin, end = getattr(model, "pre_run", lambda: None), getattr(model, "cleanup", lambda: None)
    try:
        begin()
        yield
    finally:
        end()


def is_flow(model_sampling) -> bool:
    """Whether a model is a rectified flow. The host of March 2024 has none."""
    return isinstance(model_sampling, getattr(comfy.model_sampling, "CONST", ()))


def not_streamed(model):
    """MODEL, or where the host would stream its weights, the host's own stand-in for it.

    Raises:
        ValueError: the host cannot load the weights a second time, for a node of another pack has loaded the first.
    """
    if not getattr(model, "is_dynamic", lambda: False)():
        return model
    if getattr(model, "cached_patcher_init", None) is None:
        raise ValueError(
            "ComfyUI cannot load this model for training: load it with Load Checkpoint or Load Diffusion Model, or "
            "start ComfyUI with --disable-dynamic-vram."
        )
    return model.get_non_dynamic_delegate()


def as_the_host_moves_weights() -> AbstractContextManager:
    """Inference mode, in which the host runs nodes, also where weights are moved while one trains.

    A weight that was loaded in it and is moved out of it is neither kind of tensor: whoever uses it then is told that
    "Inference tensors do not track version counter".
    """
    return torch.inference_mode()


def load_whole(model, memory_required: float) -> None:
    """Have the host load MODEL with every weight on its device, as older ones try by themselves."""
    load = comfy.model_management.load_models_gpu
    whole = {"force_full_load": True} if "force_full_load" in inspect.signature(load).parameters else {}
    with as_the_host_moves_weights():
        load([model], memory_required=memory_required, **whole)


def loaded_with(model) -> list:
    """The models that MODEL runs together with."""
    return getattr(model, "model_patches_models", list)()


def take_off_device(model) -> None:
    """Older hosts do it themselves when loading fails."""
    getattr(model, "detach", lambda: None)()


@contextmanager
def host_knows_it_trains() -> Iterator[None]:
    """Newer hosts then leave out kernels that have no backward."""
    management = comfy.model_management
    if not hasattr(management, "in_training"):
        yield
        return
    before, management.in_training = management.in_training, True
    try:
        yield
    finally:
        management.in_training = before


def smallest_side(vae) -> int:
    """Pixels to a latent position of a VAE: of a smaller picture nothing is left once the host has cropped it."""
    return vae.spacial_compression_encode() if hasattr(vae, "spacial_compression_encode") else vae.downscale_ratio


def type_handed_on() -> torch.dtype:
    """The type in which nodes hand latents on: newer hosts may round them to 16 bits."""
    return getattr(comfy.model_management, "intermediate_dtype", lambda: torch.float32)()
