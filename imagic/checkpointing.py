"""Gradient checkpointing for any network, without its help."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .blocks import blocks


@contextmanager
def checkpointed(network: nn.Module, overwrites: bool = False) -> Iterator[None]:
    """Inside, each block keeps only its inputs for the backward pass and is computed again when it is needed.

    The instance's `forward` is shadowed, not its class's, so other users of the same classes notice nothing.

    Args:
        overwrites: the network adds in place inside its blocks, see `Denoiser.overwrites`.
    """
    wrap = _recomputed_in_place if overwrites else _recomputed
    modules = list(blocks(network).values())
    # Offloading libraries shadow it as well, so what an instance had is put back.
    shadows = [vars(module).get("forward") for module in modules]
    try:
        for module in modules:
            module.forward = wrap(module.forward)
        yield
    finally:
        for module, shadow in zip(modules, shadows, strict=True):
            module.__dict__.pop("forward", None)
            if shadow is not None:
                module.forward = shadow


# Nothing random runs inside a denoising network in evaluation mode, so the RNG state need not be kept.


def _recomputed(forward: Callable) -> Callable:
    def run(*args, **kwargs):
        # Networks note in a dict that all blocks share which block is at work: the second time it says another one.
        as_now, known = _copied((args, kwargs)), False

        def compute(*args, **kwargs):
            nonlocal known
            if known:
                args, kwargs = _copied(as_now)
            known = True
            return forward(*args, **kwargs)

        return checkpoint(compute, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)

    return run


def _recomputed_in_place(forward: Callable) -> Callable:
    """The reentrant kind, which recomputes under plain autograd, where the copies of `keeping_overwritten` are seen.

    The other kind keeps the recomputed tensors itself, does not notice that the block overwrites some of them, and
    gives wrong gradients without a word.
    """

    def run(*args, **kwargs):
        # This kind sends gradients only to tensors that are arguments of its own, so they are all taken out.
        tensors: list[Tensor] = []
        arguments = _replaced((args, kwargs), lambda tensor: tensors.append(tensor) or len(tensors) - 1)
        # And it only records a graph if some input requires a gradient, and insists that every output does.
        trigger = torch.zeros((), requires_grad=True)
        structure = None

        def compute(trigger, *inputs):
            nonlocal structure
            # Copies, for the block may write into its inputs, and then could not be computed again.
            inputs = [tensor.clone() for tensor in inputs]
            args, kwargs = _restored(arguments, inputs)
            outputs: list[Tensor] = []
            structure = _replaced(forward(*args, **kwargs), lambda tensor: outputs.append(tensor) or len(outputs) - 1)
            return tuple(torch.add(output, trigger, alpha=0) for output in outputs)

        outputs = checkpoint(compute, trigger, *tensors, use_reentrant=True, preserve_rng_state=False)
        return _restored(structure, outputs)

    return run


@dataclass(frozen=True)
class _Place:
    """Where a tensor was."""

    index: int


def _replaced(value, number: Callable[[Tensor], int]):
    """`value` with a `_Place` for every tensor in it."""
    return mapped(value, Tensor, lambda tensor: _Place(number(tensor)))


def _restored(value, tensors: Sequence[Tensor]):
    return mapped(value, _Place, lambda place: tensors[place.index])


def _copied(value):
    """Lists, tuples and dicts anew, around what is in them."""
    if type(value) in (list, tuple):
        return type(value)(_copied(item) for item in value)
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    return value


def mapped(value, kind: type, function: Callable):
    """`value` with `function` applied to every instance of `kind`, in lists, tuples, dicts and dataclasses too."""
    if isinstance(value, kind):
        return function(value)
    if type(value) in (list, tuple):
        return type(value)(mapped(item, kind, function) for item in value)
    if type(value) is dict:
        return {key: mapped(item, kind, function) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: mapped(getattr(value, field.name), kind, function) for field in fields(value)}
        )
    return value
