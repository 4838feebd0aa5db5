"""Kernels that the host's models call get the derivative of the plain formula that they compute."""

import pytest
import torch

rope = pytest.importorskip("comfy_kitchen.backends.eager.rope", reason="only newer hosts bring these kernels")


def inputs(name: str) -> tuple:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 5, 2, 8, generator=generator).requires_grad_() for _ in range(2))
    angles = torch.randn(1, 5, 1, 4, generator=generator)
    rotation = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], -1).unflatten(-1, (2, 2))
    if not name.startswith("rms"):
        return q, k, rotation
    scales = [torch.randn(8, generator=generator).requires_grad_() for _ in range(2)]
    return q, k, rotation, *scales, 1e-6


def gradients(function, arguments: tuple) -> list[torch.Tensor]:
    outputs = function(*arguments)
    loss = sum((output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum() for output in outputs)
    return torch.autograd.grad(loss, [value for value in arguments if getattr(value, "requires_grad", False)])


@pytest.mark.parametrize("name", ["apply_rope_split_half", "rms_rope", "rms_rope_split_half"])
def test_the_derivative_is_that_of_the_formula(studio, name):
    studio.module("nodes.host.kernels").give_a_backward()
    arguments = inputs(name)
    found = gradients(getattr(torch.ops.comfy_kitchen, name), arguments)
    for got, expected in zip(found, gradients(getattr(rope, name), arguments), strict=True):
        assert expected.abs().max() > 0
        torch.testing.assert_close(got, expected)
