"""What autograd keeps of a forward pass for the backward pass: how much, and whether the network overwrites it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from .blocks import blocks
from .checkpointing import mapped


@dataclass
class Saved:
    """Bytes that autograd would keep, each storage once, the network's own weights left out."""

    everything: int = 0
    outside: int = 0  # saved outside of the blocks, or an input of a block: all that checkpointing keeps
    blocks: dict[str, int] = field(default_factory=dict)  # what each computes and saves
    inputs: dict[str, int] = field(default_factory=dict)  # what goes into each and into none before it
    overwritten: bool = False  # the network changes some of it, see `Denoiser.overwrites`

    def most(self, checkpointing: bool) -> int:
        """The most that is kept at a time."""
        return self.outside + max(self.blocks.values(), default=0) if checkpointing else self.everything


@contextmanager
def counting(network: nn.Module) -> Iterator[Saved]:
    """Inside, what forward passes of the network would keep is counted and not kept: they cannot be differentiated.

    No more is held at a time than what one block would keep, and what goes from block to block.

    Yields:
        The counts, complete when the context ends.
    """
    count, hooks = _Count(network), []
    try:
        for name, block in blocks(network).items():
            hooks.append(block.register_forward_pre_hook(partial(count.enter, name), with_kwargs=True))
            hooks.append(block.register_forward_hook(partial(count.leave, name), with_kwargs=True))
        with torch.autograd.graph.saved_tensors_hooks(count.keep, _refuse):
            yield count.saved
    finally:
        for hook in hooks:
            hook.remove()
    count.finish()


def _refuse(_) -> Tensor:
    raise RuntimeError("What was counted was not kept: this forward pass cannot be differentiated.")


# A storage and its version: where a network overwrites what is saved, autograd keeps a copy of each version.
_Place = tuple[int, int]


class _Layer(dict[_Place, int]):
    """Bytes of what was saved, by place, while one block runs or outside of all."""

    def __init__(self):
        # The tensors are held, lest others get their places in memory and are taken for them.
        self.versions: list[tuple[Tensor, int]] = []

    def hold(self, tensor: Tensor) -> None:
        # Not the tensor itself: an output would then hold the graph that holds it. This one shares its version.
        self.versions.append((tensor.detach(), tensor._version))

    @property
    def overwritten(self) -> bool:
        return any(tensor._version != version for tensor, version in self.versions)


class _Count:
    def __init__(self, network: nn.Module):
        self.saved = Saved()
        weights = (*network.parameters(), *network.buffers())
        self.weights = {storage for weight in weights for storage, _ in _places(weight)}
        self.outside, self.running = _Layer(), []
        self.inputs: dict[_Place, int] = {}  # of the blocks
        self.inside: set[_Place] = set()  # counted in a block and still in use

    def keep(self, tensor: Tensor) -> None:
        layer = self.running[-1] if self.running else self.outside
        layer.hold(tensor)
        layer.update(self._new(tensor))

    def enter(self, name: str, block: nn.Module, args: tuple, kwargs: dict) -> None:
        before = sum(self.inputs.values())
        for tensor in _tensors((args, kwargs)):
            if tensor.requires_grad:
                self.outside.hold(tensor)  # a block that writes into it cannot simply be computed again
                self.inputs.update(self._new(tensor))
        self.saved.inputs[name] = sum(self.inputs.values()) - before
        self.running.append(_Layer())

    def leave(self, name: str, block: nn.Module, args: tuple, kwargs: dict, output) -> None:
        layer = self.running.pop()
        own = {place: size for place, size in layer.items() if place not in self.inside}
        self.saved.everything += sum(own.values())
        self.saved.blocks[name] = sum(size for place, size in layer.items() if place not in self.inputs)
        self.saved.overwritten |= layer.overwritten
        # What leaves the block may be changed later on; the rest is gone.
        leaving = {storage for tensor in _tensors((args, kwargs, output)) for storage, _ in _places(tensor)}
        self.inside |= {place for place in own if place[0] in leaving}
        for tensor, version in layer.versions:
            if any(storage in leaving for storage, _ in _places(tensor)):
                self.outside.versions.append((tensor, version))

    def finish(self) -> None:
        self.saved.overwritten |= self.outside.overwritten
        self.saved.everything += sum(size for place, size in self.outside.items() if place not in self.inside)
        self.saved.outside = sum((self.outside | self.inputs).values())

    def _new(self, tensor: Tensor) -> dict[_Place, int]:
        return {place: size for place, size in _places(tensor).items() if place[0] not in self.weights}


def _tensors(value) -> list[Tensor]:
    """All tensors in an argument or an output of a block."""
    found: list[Tensor] = []
    mapped(value, Tensor, found.append)
    return found


def _places(tensor: Tensor) -> dict[_Place, int]:
    """Where a tensor's numbers are, and how many bytes there."""
    if is_traceable_wrapper_subclass(tensor):  # quantized weights: a class of tensors made of ordinary ones
        names, _ = tensor.__tensor_flatten__()
        return {place: size for name in names for place, size in _places(getattr(tensor, name)).items()}
    storage = tensor.untyped_storage()
    return {(storage.data_ptr(), tensor._version): storage.nbytes()}
