"""Lets a network overwrite what autograd has saved: a tensor is copied just before something writes into it.

`torch.autograd.graph.allow_mutation_on_saved_tensors` does the same, but (2.9.1) knows a saved tensor by its address
and forgets it once copied, so that the next one at that address is taken for it. Then gradients are wrong, or sizes do
not match. And it overlooks writes into a part of a saved tensor.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from weakref import WeakSet

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass
from torch.utils._pytree import tree_leaves


@contextmanager
def overwriting_allowed() -> Iterator[None]:
    """Forward and backward both belong inside. Nothing is copied unless it is overwritten."""
    saved: dict[int, WeakSet[_Saved]] = defaultdict(WeakSet)

    def save(tensor: Tensor) -> _Saved:
        kept = _Saved(tensor)
        for place in _memory(tensor):
            saved[place].add(kept)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(save, attrgetter("tensor")), _CopyBeforeWriting(saved):
        yield


class _Saved:
    """A tensor as it was when autograd saved it. Autograd's graph alone holds this.

    It holds the tensor's memory, so nothing else gets there.
    """

    def __init__(self, tensor: Tensor):
        # An output would hold the graph that holds it. Weights of a class of their own are leaves and keep it.
        self.tensor = tensor if tensor.is_leaf else tensor.detach()


class _CopyBeforeWriting(TorchDispatchMode):
    def __init__(self, saved: dict[int, WeakSet[_Saved]]):
        super().__init__()
        self.saved = saved  # by the memory in use

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        schema = function._schema
        if schema.is_mutable:
            given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)} | kwargs
            for argument in schema.arguments:
                if argument.alias_info is not None and argument.alias_info.is_write:
                    self._copy_saved(given.get(argument.name))
        return function(*args, **kwargs)

    def _copy_saved(self, written: Tensor | list[Tensor] | None) -> None:
        for tensor in tree_leaves(written):
            for place in _memory(tensor):
                copies: dict[tuple, Tensor] = {}
                for kept in self.saved.pop(place, ()):
                    # The same tensor is often saved several times.
                    layout = _layout(kept.tensor)
                    if layout not in copies:
                        copies[layout] = kept.tensor.clone()
                    kept.tensor = copies[layout]


def _memory(tensor: Tensor) -> set[int]:
    """Where a tensor's numbers are: the same for all views of them."""
    if is_traceable_wrapper_subclass(tensor):  # quantized weights: a class of tensors made of ordinary ones
        names, _ = tensor.__tensor_flatten__()
        return {place for name in names for place in _memory(getattr(tensor, name))}
    return {tensor.untyped_storage().data_ptr()}


def _layout(tensor: Tensor) -> tuple:
    """Equal for tensors on the same memory that hold the same numbers."""
    bits = tensor.is_conj(), tensor.is_neg()
    return type(tensor), tensor.dtype, tensor.storage_offset(), tensor.shape, tensor.stride(), *bits
