"""Makes a network's weights usable in autograd, frozen, without copying or changing them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import is_traceable_wrapper_subclass


@contextmanager
def frozen(network: nn.Module, foreign: bool = False) -> Iterator[None]:
    """Inside, every weight and buffer is an ordinary tensor that needs no gradient.

    What was loaded under `torch.inference_mode()` is an *inference tensor*: a frozen layer saves its weight for the
    backward pass, and autograd refuses to save such tensors. A fresh tensor over the same storage has no such mark.

    Weights of a class of their own, as GGUF's, keep it: their layers ask it what the bytes stand for. Results are plain
    tensors: GGUF's `clone` returns the tensor itself, and autograd needs real copies.

    Args:
        foreign: others have put code into the network that brings tensors of its own, which no module holds. These are
            exchanged as they are used, and every operation takes some microseconds longer.
    """
    opaque = any(map(_is_opaque, network.parameters()))
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
        with (
            torch._C.DisableTorchFunctionSubclass() if opaque else nullcontext(),
            _Unmarked() if foreign else nullcontext(),
        ):
            yield
    finally:
        for tensors, name, tensor in replaced:
            tensors[name] = tensor


class _Unmarked(TorchFunctionMode):
    """Gives every operation ordinary tensors in place of inference tensors."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is Tensor.backward:  # which computes checkpointed blocks again, operation by operation
            with self:
                return torch.autograd.backward(*args, kwargs.pop("gradient"), **kwargs)
        if function is torch.autograd.backward and kwargs.get("inputs") is None:
            # Since PyTorch 2.11 this comes here too, unless it is given edges of the graph in place of tensors.
            edges = [torch.autograd.graph.get_gradient_edge(tensor) for tensor in args[0]]
            with self:
                return torch.autograd.backward(edges, **kwargs)
        args, kwargs = _unmarked((args, kwargs))
        return function(*args, **kwargs)


def _unmarked(value):
    """Ordinary tensors in place of inference tensors, in tuples, lists and dicts too: ten times as fast as tree_map."""
    if isinstance(value, Tensor):
        return _ordinary(value) if value.is_inference() else value
    if type(value) in (tuple, list):
        return type(value)(map(_unmarked, value))
    return {name: _unmarked(each) for name, each in value.items()} if type(value) is dict else value


def _ordinary(tensor: Tensor) -> Tensor:
    if not tensor.is_inference():
        return tensor.detach()
    if is_traceable_wrapper_subclass(tensor):  # quantized weights: a class of tensors made of ordinary ones
        names, context = tensor.__tensor_flatten__()
        parts = {name: _ordinary(getattr(tensor, name)) for name in names}
        return type(tensor).__tensor_unflatten__(parts, context, tensor.size(), tensor.stride())
    view = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    view.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
    if type(tensor) in (Tensor, nn.Parameter):
        return view
    kept = view.as_subclass(type(tensor))
    kept.__dict__.update(tensor.__dict__)
    return kept


def _is_opaque(tensor: Tensor) -> bool:
    """Whether a tensor is of a class that holds data of its own and leaves it to its layers what to compute."""
    plain = type(tensor) in (Tensor, nn.Parameter) or is_traceable_wrapper_subclass(tensor)
    function = getattr(type(tensor).__torch_function__, "__func__", None)
    return not plain and function is Tensor.__torch_function__.__func__
