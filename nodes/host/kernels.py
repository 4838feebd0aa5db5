"""Derivatives for kernels that ComfyUI computes some models with and that come without one."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

# Rotary embeddings, alone or after a norm, as Cosmos-Predict2, Anima, JoyImage and ERNIE-Image call them even while the
# host trains. The others are left out then.
WITHOUT_BACKWARD = ("apply_rope_split_half", "rms_rope", "rms_rope_split_half")


@functools.cache
def give_a_backward() -> None:
    """Tell autograd the derivative of each kernel, by the plain PyTorch formula that its library has beside it."""
    try:
        from comfy_kitchen.backends.eager import rope
    except ImportError:  # an older host, or a library that has moved its formulas
        return

    for name in WITHOUT_BACKWARD:
        formula = getattr(rope, name, None)
        if formula is not None and hasattr(torch.ops.comfy_kitchen, name):
            backward = _differentiated(formula)
            torch.library.register_autograd(f"comfy_kitchen::{name}", backward, setup_context=_keep_inputs)


def _keep_inputs(ctx, inputs: tuple, output) -> None:
    ctx.where = [isinstance(value, Tensor) for value in inputs]
    ctx.save_for_backward(*[value for value in inputs if isinstance(value, Tensor)])
    ctx.others = [value for value in inputs if not isinstance(value, Tensor)]


def _differentiated(formula: Callable) -> Callable:
    def backward(ctx, *gradients):
        saved, others = iter(ctx.saved_tensors), iter(ctx.others)
        inputs = [next(saved) if is_tensor else next(others) for is_tensor in ctx.where]
        wanted = [position for position, needed in enumerate(ctx.needs_input_grad) if needed]
        for position in wanted:
            inputs[position] = inputs[position].detach().requires_grad_()
        with torch.enable_grad():
            outputs = formula(*inputs)
        results: list[Tensor | None] = [None for _ in inputs]
        found = torch.autograd.grad(outputs, [inputs[position] for position in wanted], gradients)
        for position, gradient in zip(wanted, found, strict=True):
            results[position] = gradient
        return tuple(results)

    return backward
