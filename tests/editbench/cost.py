"""What a method spends: network evaluations, which mean the same on every machine, and seconds, which do not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn


@dataclass
class Cost:
    """Forward-equivalents: one network evaluation on one latent is 1, a backward through activations 1 more, a weight
    gradient 1 more."""

    forward_equivalents: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.forward_equivalents + other.forward_equivalents, self.seconds + other.seconds)


class Meter:
    """Watches networks at work, whoever calls them."""

    def __init__(self):
        self._cost: Cost | None = None
        self._weight_gradients = False

    def watch(self, network: nn.Module) -> None:
        """Count the evaluations of a diffusers UNet from now on. A block that checkpointing repeats is not seen."""
        network.register_forward_hook(self._count)

    @contextmanager
    def measured(self, cost: Cost, weight_gradients: bool = False) -> Iterator[None]:
        """Inside, what is spent is added to `cost`.

        Args:
            weight_gradients: updates beside the layers are being trained, which the network's own weights don't show.
        """
        self._cost, self._weight_gradients = cost, weight_gradients
        start = time.perf_counter()
        try:
            yield
        finally:
            cost.seconds += time.perf_counter() - start
            self._cost = None

    def _count(self, network: nn.Module, inputs: tuple, output) -> None:
        cost, latents = self._cost, len(output.sample)
        if cost is None:
            return
        cost.forward_equivalents += latents
        trained = self._weight_gradients or any(weight.requires_grad for weight in network.parameters())
        backward = 2 if trained else 1

        def count_backward(gradient):
            cost.forward_equivalents += backward * latents

        if output.sample.requires_grad:
            output.sample.register_hook(count_backward)
