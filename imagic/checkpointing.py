"""Gradient checkpointing for any network, without its help."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .blocks import blocks


@contextmanager
def checkpointed(network: nn.Module, overwrites: bool = False) -> Iterator[None]:
    """Inside, each block keeps only its inputs for the backward pass and is computed again when it is needed.

    The instance's `forward` is shadowed, not its class's, so other users of the same classes notice nothing.

    Args:
        overwrites: the network adds in place inside its blocks, see `Denoiser.overwrites`. Only tensors that require a
            gradient by themselves, such as trained weights, then get one; gradients to the inputs of the first block
            are lost.
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
        return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)

    return run


def _recomputed_in_place(forward: Callable) -> Callable:
    """The reentrant kind, which recomputes under plain autograd, where the copies of `keeping_overwritten` are seen.

    The other kind keeps the recomputed tensors itself, does not notice that the block overwrites some of them, and
    gives wrong gradients without a word.
    """

    def run(*args, **kwargs):
        # The reentrant kind only records a graph if some input requires a gradient, and insists that the output does.
        trigger = torch.zeros((), requires_grad=True)

        def compute(trigger, *inputs):
            return torch.add(forward(*inputs, **kwargs), trigger, alpha=0)

        return checkpoint(compute, trigger, *args, use_reentrant=True, preserve_rng_state=False)

    return run
