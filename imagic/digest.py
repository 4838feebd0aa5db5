"""One digest for plain values and tensors: equal digests mean equal contents, bit for bit."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

WORKERS = min(8, os.cpu_count() or 1)  # the time goes into SHA-256, which runs on one core a tensor


class NotComparable(TypeError):
    """A value holds something whose content nobody can read: a function, say."""


def digest(value: Any) -> str:
    """SHA-256 of a value, as 64 hexadecimal digits.

    Args:
        value: None, numbers, texts, bytes, dtypes, devices, enums, tensors of any kind, and lists, tuples, sets and
            dicts of these. The order of a dict does not count. Where a tensor lies does not count either.

    Raises:
        NotComparable: it holds anything else.
    """
    tensors: list[Tensor] = []
    described = _described(value, tensors)
    with torch._C.DisableTorchFunctionSubclass(), ThreadPoolExecutor(WORKERS) as pool:
        contents = list(pool.map(_content, tensors))
    return hashlib.sha256("\n".join([described, *contents]).encode()).hexdigest()


def _described(value: Any, tensors: list[Tensor]) -> str:
    """A value in words that no other value has; of a tensor its place in `tensors`, which gets it."""
    match value:
        case Tensor():
            return _tensor(value, tensors)
        case None | bool() | bytes() | torch.dtype() | torch.device() | Enum():
            return f"{type(value).__qualname__} {value!r}"
        case int() | float() | str():
            # By the plain type, for subclasses may tell themselves in any way.
            plain = next(kind for kind in (int, float, str) if isinstance(value, kind))
            return f"{plain.__name__} {plain(value)!r}"
        case list() | tuple():
            return f"{'list' if isinstance(value, list) else 'tuple'}({', '.join(_all(value, tensors))})"
        case set() | frozenset():
            return f"set({', '.join(sorted(_all(value, tensors)))})"
        case dict():
            named = {_described(key, tensors): part for key, part in value.items()}
            return f"dict({', '.join(f'{key}: {_described(named[key], tensors)}' for key in sorted(named))})"
    raise NotComparable(f"{type(value).__qualname__} cannot be compared by its content.")


def _all(values: Any, tensors: list[Tensor]) -> list[str]:
    return [_described(part, tensors) for part in values]


def _tensor(tensor: Tensor, tensors: list[Tensor]) -> str:
    kind, own = type(tensor), ""
    if is_traceable_wrapper_subclass(tensor):  # quantized weights: a class of tensors made of ordinary ones
        names, context = tensor.__tensor_flatten__()
        parts = {name: getattr(tensor, name) for name in names}
        return f"{kind.__qualname__}({_described(parts, tensors)}, {_described(_plain(context), tensors)})"
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_meta:
        raise NotComparable(f"A tensor of layout {tensor.layout} cannot be compared by its content.")
    if kind not in (Tensor, nn.Parameter):  # GGUF's: bytes, and beside them what they stand for
        own = f" {kind.__qualname__} {_described(vars(tensor), tensors)}"
    tensors.append(tensor)
    return f"tensor {len(tensors)} {tensor.dtype} {list(tensor.shape)}{own}"


def _plain(context: Any) -> Any:
    """What a quantized tensor tells of its layout: a dict, or an object of named parts."""
    return {"class": type(context).__qualname__, **vars(context)} if hasattr(context, "__dict__") else context


def _content(tensor: Tensor) -> str:
    """SHA-256 of a tensor's numbers."""
    numbers = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(numbers.numpy().data).hexdigest()
