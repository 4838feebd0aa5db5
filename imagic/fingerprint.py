"""Recognizes a network by a few of its weights."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

TENSORS, VALUES = 64, 4


@dataclass
class Fingerprint:
    """`kind` is the same for networks of one architecture, `values` [n] are near for the same weights only."""

    kind: str
    values: Tensor

    def same_kind(self, other: "Fingerprint") -> bool:
        """Whether an update of one network fits the other."""
        return self.kind == other.kind and self.values.shape == other.values.shape

    def same_weights(self, other: "Fingerprint") -> bool:
        """Whether the weights are the same but for rounding, so that fp32, fp16 and bf16 of one checkpoint agree."""
        if not self.same_kind(other):
            return False
        near = torch.isclose(
            self.values, other.values, rtol=0.01, atol=1e-3 * float(self.values.square().mean().sqrt())
        )
        return float(near.float().mean()) > 0.9


def fingerprint(shapes: dict[str, torch.Size], weight: Callable[[str], Tensor]) -> Fingerprint:
    """Of a network with these weights, on any device and in any dtype; reads a few hundred values only.

    Args:
        shapes: names and shapes of everything in the network; what has fewer than two dimensions is left out.
        weight: gives a weight by its name.
    """
    names = sorted(name for name, shape in shapes.items() if name.endswith("weight") and len(shape) > 1)
    digest = hashlib.sha256("\n".join(f"{name} {list(shapes[name])}" for name in names).encode())
    values = [_spread(weight(name).reshape(-1), VALUES).float().cpu() for name in _spread(names, TENSORS)]
    return Fingerprint(digest.hexdigest()[:16], torch.cat(values))


def _spread(items, count: int):
    """`count` of the items, or all if there are fewer, evenly spaced."""
    return items[:: max(1, len(items) // count)][:count]
