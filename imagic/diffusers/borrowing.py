"""Work with a caller's pipeline, and give it back as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from ..frozen import frozen
from .denoiser import DiffusersDenoiser
from .families import family_of


@contextmanager
def borrowed(pipeline: DiffusionPipeline, latent: Tensor) -> Iterator[DiffusersDenoiser]:
    """The pipeline as a denoiser that can be trained through, put back as it was.

    Args:
        latent: of the photo, [1, C, ...]; some schedulers shift their levels by its size.

    Raises:
        ValueError: Imagic does not know the pipeline's network or its scheduler.
    """
    network = family_of(pipeline).network
    with torch.inference_mode(False), torch.enable_grad(), frozen(network), _interpreted(network), _as_cast(network):
        yield DiffusersDenoiser(pipeline, latent.shape[-2:])


@contextmanager
def _as_cast(network: nn.Module) -> Iterator[None]:
    """Inside, a weight that layerwise casting keeps in 8 bits is another tensor while its layer computes.

    diffusers gives the same tensor numbers of more bits then, and those of 8 bits back. So the backward pass, which has
    kept the tensor, would find it changed.
    """
    cast = [
        module
        for module in network.modules()
        if hasattr(module, "_diffusers_hook") and any(map(_is_of_8_bits, module.parameters(recurse=False)))
    ]
    kept: dict[nn.Module, dict[str, nn.Parameter | None]] = {}
    try:
        for module in cast:
            module.to = partial(_moved_or_cast, module, kept)
        yield
    finally:
        for module in cast:
            del module.to
            module._parameters.update(kept.get(module, {}))


def _is_of_8_bits(weight: Tensor) -> bool:
    return weight.is_floating_point() and weight.dtype.itemsize == 1


def _moved_or_cast(module: nn.Module, kept: dict, *args, dtype: torch.dtype | None = None, **options) -> nn.Module:
    """`nn.Module.to` as offloading calls it, with a device, and as layerwise casting does before and after a layer.

    Args:
        kept: the weights of modules that compute, as they were before and will be again.
    """
    if args or dtype is None:
        return nn.Module.to(module, *args, dtype=dtype, **options)
    module._parameters.update(kept.pop(module, {}))
    weights = dict(module._parameters)
    if all(weight is None or weight.dtype == dtype for weight in weights.values()):
        return module
    kept[module] = weights
    for name, weight in weights.items():
        if weight is not None:
            module._parameters[name] = nn.Parameter(weight.to(dtype, **options), requires_grad=False)
    return module


@contextmanager
def _interpreted(network: nn.Module) -> Iterator[None]:
    """Inside, modules that were compiled in place run as written: a compiled one does not see hooks added since."""
    compiled = {module: call for module in network.modules() if (call := module._compiled_call_impl) is not None}
    try:
        for module in compiled:
            module._compiled_call_impl = None
        yield
    finally:
        for module, call in compiled.items():
            module._compiled_call_impl = call


def weight_of(network: nn.Module, name: str) -> Tensor:
    """A weight of a network by its name in `state_dict`, wherever it waits.

    Of layers that accelerate offloads one by one, the network itself has empty weights, on "meta".
    """
    layer, _, kind = name.rpartition(".")
    module = network.get_submodule(layer)
    weight = getattr(module, kind)
    return (module._hf_hook.weights_map[kind] if weight.is_meta else weight).detach()
