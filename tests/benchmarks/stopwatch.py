"""Times the optimizer steps of whatever trains in this process, each against a plain forward right after it.

Nothing is simulated: the code under test runs as it ships, and the pace of the machine at that moment cancels out.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


class Stopwatch:
    """
    Args:
        forward: a plain evaluation of the same network on the same batch, without gradients; None times steps alone.
        network: with it, the time inside forward, backward and optimizer is told apart from the rest of a step.

    Attributes:
        steps, forwards: seconds of the second step and all after, and of the forward after each.
        inside: seconds of each of those steps that were spent inside forward, backward and optimizer.
    """

    def __init__(self, forward: Callable[[], object] | None = None, network: nn.Module | None = None):
        self.forward, self.network = forward, network
        self.steps, self.forwards, self.inside = [], [], []
        self._began = self._entered = None
        self._inside = 0.0

    def __enter__(self) -> "Stopwatch":
        self._stack = ExitStack()
        self._stack.callback(register_optimizer_step_pre_hook(lambda *_: self._enter()).remove)
        self._stack.callback(register_optimizer_step_post_hook(lambda *_: self._stepped()).remove)
        if self.network is not None:
            self._stack.callback(self.network.register_forward_pre_hook(lambda *_: self._enter()).remove)
            self._stack.callback(self.network.register_forward_hook(lambda *_: self._leave()).remove)
            self._time_backward()
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    def ratios(self) -> list[float]:
        """Steps over forwards, one by one."""
        return [step / forward for step, forward in zip(self.steps, self.forwards, strict=True)]

    def _time_backward(self) -> None:
        original = torch.Tensor.backward

        def timed(*args, **kwargs):
            self._enter()
            original(*args, **kwargs)
            self._leave()

        torch.Tensor.backward = timed
        self._stack.callback(setattr, torch.Tensor, "backward", original)

    def _enter(self) -> None:
        self._entered = now()

    def _leave(self) -> None:
        self._inside += now() - self._entered

    def _stepped(self) -> None:
        self._leave()
        if self._began is not None:
            self.steps.append(now() - self._began)
            self.inside.append(self._inside)
            if self.forward is not None:
                start = now()
                with torch.no_grad():
                    self.forward()
                self.forwards.append(now() - start)
        self._began, self._inside = now(), 0.0


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
