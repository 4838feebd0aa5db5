"""Makes a network's weights usable in autograd, frozen, without copying or changing them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, every weight and buffer is an ordinary tensor that needs no gradient.

    What was loaded under `torch.inference_mode()` is an *inference tensor*: a frozen layer saves its weight for the
    backward pass, and autograd refuses to save such tensors. A fresh tensor over the same storage has no such mark.
    """
    replaced = []
    try:
        for module in network.modules():
            for tensors in (module._parameters, module._buffers):
                for name, tensor in tensors.items():
                    if tensor is None or not (tensor.is_inference() or tensor.requires_grad):
                        continue
                    replaced.append((tensors, name, tensor))
                    view = _ordinary(tensor)
                    tensors[name] = nn.Parameter(view, requires_grad=False) if tensors is module._parameters else view
        yield
    finally:
        for tensors, name, tensor in replaced:
            tensors[name] = tensor


def _ordinary(tensor: Tensor) -> Tensor:
    if not tensor.is_inference():
        return tensor.detach()
    if is_traceable_wrapper_subclass(tensor):  # quantized weights: a class of tensors made of ordinary ones
        names, context = tensor.__tensor_flatten__()
        parts = {name: _ordinary(getattr(tensor, name)) for name in names}
        return type(tensor).__tensor_unflatten__(parts, context, tensor.size(), tensor.stride())
    view = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return view.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
