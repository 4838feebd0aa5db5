"""The same bits each time on a CUDA device, where some backward passes add up in whatever order threads end.

cuDNN's convolutions have a switch for it. PyTorch's flash and memory-efficient attention heed the mode in which other
operations raise errors (`torch.use_deterministic_algorithms`); so it is on for their backward passes alone. cuDNN's
attention heeds nothing, and is taken only where neither of the two can be. Whatever else has no fixed order keeps none,
such as attention that does not go through `torch.nn.functional.scaled_dot_product_attention`.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

FUSED = "ScaledDotProduct"  # what PyTorch's names of the backward passes of its fused kernels begin with
HIDDEN_BY = 2  # at most so many views of what a kernel gave: sizes that it does not take are padded, and cut again
CAN_ORDER = "set_priority" in inspect.signature(sdpa_kernel).parameters  # since PyTorch 2.6


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Inside, cuDNN's convolutions and PyTorch's fused attention have one order on a CUDA device."""
    if device.type != "cuda":
        yield
        return
    cudnn, attention, mode = torch.backends.cudnn, F.scaled_dot_product_attention, torch.get_deterministic_debug_mode()
    before = cudnn.deterministic, cudnn.benchmark
    try:
        cudnn.deterministic, cudnn.benchmark = True, False
        F.scaled_dot_product_attention = _repeatable(attention, mode)
        yield
    finally:
        F.scaled_dot_product_attention = attention
        cudnn.deterministic, cudnn.benchmark = before
        torch.set_deterministic_debug_mode(mode)  # a backward pass may have ended halfway


def _repeatable(attention: Callable[..., Tensor], mode: int) -> Callable[..., Tensor]:
    @wraps(attention)
    def run(*args, **kwargs) -> Tensor:
        with _cudnn_last():
            result = attention(*args, **kwargs)
        # A checkpointed block is computed again before its last kernel is at work: blocks end in a projection.
        if (kernel := _kernel(result)) is not None:
            kernel.register_prehook(lambda gradients: torch.set_deterministic_debug_mode("error"))
            kernel.register_hook(lambda gradients, given: torch.set_deterministic_debug_mode(mode))
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
    if not CAN_ORDER:
        return nullcontext()
    cuda = torch.backends.cuda
    order = {
        SDPBackend.FLASH_ATTENTION: cuda.flash_sdp_enabled(),
        SDPBackend.EFFICIENT_ATTENTION: cuda.mem_efficient_sdp_enabled(),
        SDPBackend.CUDNN_ATTENTION: cuda.cudnn_sdp_enabled(),
        SDPBackend.MATH: cuda.math_sdp_enabled(),
    }
    return sdpa_kernel([kernel for kernel, enabled in order.items() if enabled], set_priority=True)
