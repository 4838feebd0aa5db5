"""The same bits each time on a GPU, where the backward pass of some kernels adds up in whatever order threads end.

cuDNN's convolutions have a switch for it. PyTorch's flash and memory-efficient attention heed
`torch.use_deterministic_algorithms`, which makes other operations raise errors; so it is on for their backward passes
alone. cuDNN's attention has no such pass, and is taken only where neither of the two can be.
"""

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

# What PyTorch names the backward passes of its fused kernels.
FUSED = "ScaledDotProduct"
HIDDEN_BY = 2  # at most so many views of what a kernel gave: sizes that it does not take are padded, and cut again


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Inside, forward and backward on a CUDA device give the same bits each time; elsewhere they do anyway."""
    if device.type != "cuda":
        yield
        return
    cudnn, attention, strictness = torch.backends.cudnn, F.scaled_dot_product_attention, _strictness()
    before = cudnn.deterministic, cudnn.benchmark
    try:
        cudnn.deterministic, cudnn.benchmark = True, False
        F.scaled_dot_product_attention = _repeatable(attention, strictness)
        yield
    finally:
        F.scaled_dot_product_attention = attention
        cudnn.deterministic, cudnn.benchmark = before
        _be_strict(*strictness)  # a backward pass may have ended halfway


def _repeatable(attention, strictness: tuple[bool, bool]):
    @wraps(attention)
    def run(*args, **kwargs) -> Tensor:
        with _cudnn_last():
            result = attention(*args, **kwargs)
        if (kernel := _kernel(result)) is not None:
            kernel.register_prehook(lambda gradients: _be_strict(True, False))
            kernel.register_hook(lambda gradients, given: _be_strict(*strictness))
        return result

    return run


def _kernel(result: Tensor):
    """The node of autograd's graph that is a fused kernel's backward pass, if one gave this result."""
    node = result.grad_fn
    for _ in range(HIDDEN_BY + 1):
        if node is None or node.name().startswith(FUSED):
            return node
        inputs = [each for each, _ in node.next_functions if each is not None]
        node = inputs[0] if len(inputs) == 1 else None
    return None


def _cudnn_last() -> AbstractContextManager:
    """A context in which those of PyTorch's attention kernels that are enabled are tried in this order."""
    if "set_priority" not in inspect.signature(sdpa_kernel).parameters:  # before PyTorch 2.6
        return nullcontext()
    cuda = torch.backends.cuda
    order = {
        SDPBackend.FLASH_ATTENTION: cuda.flash_sdp_enabled(),
        SDPBackend.EFFICIENT_ATTENTION: cuda.mem_efficient_sdp_enabled(),
        SDPBackend.CUDNN_ATTENTION: cuda.cudnn_sdp_enabled(),
        SDPBackend.MATH: cuda.math_sdp_enabled(),
    }
    return sdpa_kernel([kernel for kernel, enabled in order.items() if enabled], set_priority=True)


def _strictness() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _be_strict(mode: bool, warn_only: bool) -> None:
    torch.use_deterministic_algorithms(mode, warn_only=warn_only)
