"""The loop both training stages share."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import repeat

import torch
from torch import Tensor

from .denoiser import Denoiser
from .overwriting import overwriting_allowed
from .repeatable import repeatable

# How the learning rate goes over a run. Falling to zero, a short run ends near where a long one would: at a constant
# rate the last steps still jump about by what that rate lets a single noise sample do.
SCHEDULES = ("cosine", "constant")
# Of Adam. Far below any gradient: a step knows neither the scale of the loss nor among how many numbers it is shared.
EPSILON = 1e-14
ATTEMPTS = 32  # at a step in fp16, each at half the scale of the one before


class NonFiniteLoss(ValueError):
    """The loss became NaN or infinite, so nothing that was learned is worth keeping."""

    def __init__(self, step: int, learning_rate: float):
        super().__init__(
            f"The loss became NaN or infinite at step {step} with learning rate {learning_rate:g}. "
            f"Lower the learning rate (try {learning_rate / 10:g}) or run the model in fp32 or bf16."
        )
        self.step, self.learning_rate = step, learning_rate


@dataclass
class Step:
    """What a finished step has to show."""

    number: int  # 1 .. total
    total: int
    loss: float
    denoised: Tensor  # the clean latent predicted at the middle one of the levels drawn, [1, C, ...]
    validation: float = float("nan")  # the validation loss so far, estimated


@dataclass
class History:
    """What a stage did and what it cost."""

    losses: list[float] = field(default_factory=list)  # one a step
    validation_before: float = float("nan")
    validation_after: float = float("nan")
    # One network evaluation on one latent counts 1, a backward through activations 1 more, a weight gradient 1 more.
    forward_equivalents: int = 0


def keeping_overwritten(denoiser: Denoiser) -> AbstractContextManager:
    """A context in which autograd keeps copies of what the network overwrites; costs nothing where it does not."""
    return overwriting_allowed() if denoiser.overwrites else nullcontext()


def train(
    parameters: list[Tensor],
    objective: Callable[[], Iterable[tuple[Tensor, Tensor]]],
    samples: int,
    steps: int,
    learning_rate: float,
    schedule: str = "cosine",
    around: Callable[[], AbstractContextManager] = nullcontext,
    scale_loss: bool = False,
    units: Sequence[float] = (),
) -> Iterator[Step]:
    """Minimize the mean of `objective` by Adam, yielding after every step.

    Args:
        parameters: fp32 leaves that require gradients.
        objective: draws the samples of a step and gives them part by part, levels ascending: losses [n] and predicted
            clean latents [n, C, ...]. Each part is differentiated before the next is computed.
        samples: how many there are in a step.
        learning_rate: of the first step.
        schedule: one of `SCHEDULES`, how the learning rate goes on from there: along half a cosine to zero, or not at
            all (the paper).
        around: a context entered for each forward and backward, e.g. the adapter that injects `parameters`.
        scale_loss: the network computes in fp16, whose range the gradients of a mean over a latent fall below.
        units: for each parameter, what the learning rate counts in. Default: 1.

    Raises:
        NonFiniteLoss: at the step whose loss is not finite, before it is yielded.
    """
    # The fused kernel is one launch instead of several per tensor; only these two devices have had it for long.
    fused = parameters[0].device.type in ("cpu", "cuda")
    by_unit: dict[float, list[Tensor]] = {}
    for parameter, unit in zip(parameters, units or repeat(1.0), strict=False):
        by_unit.setdefault(unit, []).append(parameter)
    groups = [{"params": group, "unit": unit} for unit, group in by_unit.items()]
    optimizer = torch.optim.Adam(groups, lr=learning_rate, eps=EPSILON, fused=fused)
    scaler = torch.amp.GradScaler(parameters[0].device.type, enabled=scale_loss)
    for number in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = group["unit"] * learning_rate * _share(schedule, (number - 1) / steps)
        for _ in range(ATTEMPTS):
            optimizer.zero_grad(set_to_none=True)
            parts = []
            with around(), repeatable(parameters[0].device):
                for losses, denoised in objective():
                    scaler.scale(losses.sum() / samples).backward()
                    parts.append((losses.detach(), denoised.detach()))
            losses, denoised = (torch.cat(part) for part in zip(*parts, strict=True))
            value = float(losses.mean())
            if not math.isfinite(value):
                raise NonFiniteLoss(number, learning_rate)
            scale = scaler.get_scale()
            scaler.step(optimizer)
            scaler.update()
            # On overflow the scaler skips the step and lowers its scale. Retry, so that a short run loses no step.
            if scaler.get_scale() >= scale:
                break
        else:
            raise NonFiniteLoss(number, learning_rate)
        middle = samples // 2
        yield Step(number, steps, value, denoised[middle : middle + 1])


def _share(schedule: str, progress: float) -> float:
    """The share of the learning rate at `progress`, 0..1, through the run."""
    return 1.0 if schedule == "constant" else (1 + math.cos(math.pi * progress)) / 2


def check_schedule(schedule: str) -> None:
    """Raises ValueError unless it is one of `SCHEDULES`."""
    if schedule not in SCHEDULES:
        raise ValueError(f"Unknown learning-rate schedule {schedule!r}: choose one of {', '.join(SCHEDULES)}.")
