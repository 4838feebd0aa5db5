"""Weights as loaders of GGUF have them: bytes of a class of their own, and layers that make numbers of them.

Behaves as ComfyUI-GGUF's tensors and layers do where it matters here; `make compat` runs those themselves.
"""

import torch
from torch import Tensor, nn


class Packed(Tensor):
    """8-bit integers and a scale a row. It says the shape of what it stands for, and that it is its own copy."""

    @staticmethod
    def __new__(cls, data: Tensor, **_):
        return super().__new__(cls, data)

    def __init__(self, data: Tensor, *, sizes: torch.Size):
        super().__init__()
        self.sizes = sizes

    @property
    def shape(self):
        return getattr(self, "sizes", None) or self.size()

    def to(self, *args, **kwargs):
        moved = super().to(*args, **kwargs)
        moved.sizes = self.sizes
        return moved

    def clone(self, *_, **__):
        return self

    def detach(self):
        return self


def packed(weight: Tensor) -> Packed:
    """A matrix in a quarter of the memory."""
    scale = weight.abs().amax(1, keepdim=True).float() / 127
    steps = (weight / scale).round().to(torch.int8)
    return Packed(torch.cat([steps, scale.view(torch.int8)], 1), sizes=weight.shape)


def unpacked(weight: Tensor) -> Tensor:
    """The matrix that is meant."""
    data = weight.data
    return data[:, :-4] * data[:, -4:].contiguous().view(torch.float32)


class PackedLinear(nn.Linear):
    """A linear layer that unpacks its weight each time it runs."""

    def _load_from_state_dict(self, state, prefix, *_):
        self.weight = nn.Parameter(packed(state[f"{prefix}weight"]), requires_grad=False)
        if self.bias is not None:
            self.bias = nn.Parameter(Packed(state[f"{prefix}bias"], sizes=self.bias.shape), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = unpacked(self.weight.to(x.device)).to(x.dtype)
        if isinstance(weight, Packed):  # the class goes from argument to result, and is stopped here
            weight = Tensor(weight)
        output = nn.functional.linear(x, weight, None if self.bias is None else self.bias.to(x.dtype))
        return Tensor(output) if isinstance(output, Packed) else output
