"""Where finished stages are kept, and what makes two of them the same.

A key holds all that a stage's result depends on, the code included. Where something has a say that cannot be read, such
as another node's function inside the network, there is no key: such a stage is trained each time.
"""

import functools
import hashlib
import logging
import math
import os
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import torch
from torch import Tensor, nn

from ...imagic.denoiser import Conditioning
from ...imagic.digest import NotComparable, digest
from ...imagic.finished import Finished
from .denoiser import HostDenoiser, has_code_inside
from .probe import errors_as_a_sentence
from .versions import how_it_calculates, version

VARIABLE = "IMAGIC_CACHE_GB"  # of the environment: how much may be kept
GIGABYTES = 4.0  # some 300 tunings of Stable Diffusion 1.5, 40 of SDXL
PACK = Path(__file__).parents[2]


def store() -> Finished:
    """The finished stages of this host, in a folder of its user folder that it serves to nobody."""
    folder = Path(folder_paths.user_directory) / "__imagic" / "finished"
    return Finished(folder, _bytes(os.environ.get(VARIABLE, f"{GIGABYTES}")))


@functools.cache  # so that it is told once
def _bytes(gigabytes: str) -> int:
    """How much may be kept: what the environment says, or the usual where that is no size."""
    try:
        most = float(gigabytes) * 1e9
    except ValueError:
        most = math.nan
    if 0 <= most < math.inf:
        return int(most)
    logging.warning("Imagic: %s is not a number from 0 up, so %g is taken.", VARIABLE, GIGABYTES)
    return int(GIGABYTES * 1e9)


def key(
    stage: Callable, model, denoiser: HostDenoiser, samples: Tensor, text: Conditioning, fixed: dict, settings: dict
) -> str | None:
    """What names a stage's result, or None where something has a say in it that cannot be read.

    Args:
        stage: the function of `imagic` that trains.
        model: the MODEL as it is loaded, patches applied: its weights are then all that LoRAs come to.
        samples, text, fixed: as they came in.
        settings: of the stage, its seed among them.
    """
    network, base = denoiser.network, model.model
    if has_code_inside(model) or any(map(_changed_by_code, network.modules())):
        return None
    sampling, latents = base.model_sampling, base.latent_format
    options = {name: value for name, value in denoiser.options.items() if name != "optimized_attention_override"}
    try:
        return digest(
            {
                "stage": stage.__name__,
                "settings": settings,
                "photo": samples,
                "text": _heard(denoiser, samples, text),
                "fixed": fixed,
                "weights": [list(base.named_parameters()), list(base.named_buffers())],
                "classes": [[name, _names(type(part))] for name, part in base.named_modules()],
                "shape": base.model_config.unet_config,
                "kind": [base.model_type.name, denoiser.dtype, options],
                "sampling": _told(sampling, "_"),
                "latents": [_names(type(latents)), _told(latents, "latent_rgb", "taesd")],  # those are for previews
                "object patches": {
                    name: patch for name, patch in model.object_patches.items() if name != "model_sampling"
                },
                "code": [_of_pack(), *_of_host(), _of_classes({type(part) for part in (latents, *base.modules())})],
                "machine": _machine(denoiser.device),
            }
        )
    except NotComparable:
        return None


@torch.no_grad()
def _heard(denoiser: HostDenoiser, samples: Tensor, text: Conditioning) -> dict[str, Tensor | list[int]]:
    """A text, and of the tensors that the model makes nothing of, whatever they hold, the shapes alone.

    A UNet of Stable Diffusion 1.5 reads no pooled text. Its text encoder gives one all the same, made by weights that
    no file has: they are what memory happened to hold.
    """
    noisy = samples.to(denoiser.device, torch.float32)
    text = {name: tensor.to(denoiser.device) for name, tensor in text.items()}

    with errors_as_a_sentence():
        whole = denoiser.inputs(noisy, text)
        without = {
            name: denoiser.inputs(noisy, {**text, name: torch.zeros_like(tensor)})
            for name, tensor in text.items()
            if name != "cross_attn"
        }
    try:
        same = digest(whole)
        silent = {name for name, made in without.items() if digest(made) == same}
    except NotComparable:
        silent = set()
    return {name: list(tensor.shape) if name in silent else tensor for name, tensor in text.items()}


def _changed_by_code(module: nn.Module) -> bool:
    """Whether somebody has put code of their own into a module."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or "forward" in vars(module)
        or getattr(module, "weight_function", None)
        or getattr(module, "bias_function", None)
    )


def _told(thing: Any, *without: str) -> dict[str, Any]:
    """What an object holds under names that begin otherwise."""
    return {name: value for name, value in vars(thing).items() if not name.startswith(without)}


def _names(kind: type) -> list[str]:
    """A class and its bases, for the host puts classes together as it loads a model."""
    return [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__]


def _machine(device: torch.device) -> list[Any]:
    """What numbers depend on in their last bits."""
    if device.type == "cpu":
        cpu = getattr(torch.backends, "cpu", None)
        capability = cpu.get_cpu_capability() if cpu else ""
        own = [platform.machine(), capability, torch.get_num_threads()]
    elif device.type == "cuda":
        own = [torch.cuda.get_device_name(device), torch.version.cuda, torch.version.hip]
        own += [torch.backends.cudnn.version()]
    else:
        own = []
    return [device.type, *own, how_it_calculates(), torch.__version__, torch.get_float32_matmul_precision()]


@functools.cache
def _of_pack() -> str:
    """Of the code that trains: a later version of the pack may train in another way."""
    return _of_files(path for folder in ("imagic", "nodes/host") for path in (PACK / folder).glob("*.py"))


@functools.cache
def _of_host() -> list[str | None]:
    """Of the host, whose functions calculate too: its version as it is imported, and its code."""
    return [version, _of_files(Path(comfy.model_management.__file__).parent.rglob("*.py"))]


def _of_classes(kinds: set[type]) -> str:
    """Of the code of classes and their bases, which other packs may have made. PyTorch's own goes by its version."""
    modules = {base.__module__ for kind in kinds for base in kind.__mro__}
    files = [
        getattr(sys.modules.get(name), "__file__", None)
        for name in modules
        if name != "builtins" and name.partition(".")[0] != "torch"
    ]
    if None in files:
        raise NotComparable("The code of a class is in no file.")
    return _of_files(map(Path, files))


def _of_files(paths: Iterable[Path]) -> str:
    contents = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return hashlib.sha256("".join(contents).encode()).hexdigest()


_of_pack()  # now, for an update may replace the files before the first training
