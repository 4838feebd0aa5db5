"""What the two training stages do, as values that cannot change once they are checked."""

from dataclasses import dataclass, fields
from typing import Any

from .. import checks
from ..finetuning import TUNE_MODES
from ..training import SCHEDULES

# As the nodes' widgets have them.
_WHOLE = {"steps": (1, 10000), "samples": (1, 64), "rank": (1, 512), "seed": checks.SEEDS}
_CHOICES = {"schedule": SCHEDULES, "tune": TUNE_MODES}


@dataclass(frozen=True)
class EmbeddingSettings:
    """Stage A, see `imagic.optimize_embedding` (arXiv 2210.09276, Sec. 3.2).

    Args:
        steps: of Adam.
        learning_rate: in units of the text's own numbers: 0.025 moves each by up to 2.5 % of its usual size a step.
        schedule: of the learning rate, "cosine" (falls to zero) or "constant" (the paper).
        samples: (noise, level) pairs a step.
        gradient_checkpointing: half as many evaluations more, a fraction of the memory.
        seed: of the noise.

    Raises:
        ValueError: one of them is of a type or in a range that the stage does not take.
    """

    steps: int = 25
    learning_rate: float = 2.5e-2
    schedule: str = "cosine"
    samples: int = 2
    gradient_checkpointing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class TuningSettings:
    """Stage B, see `imagic.fine_tune` (arXiv 2210.09276, Sec. 3.3).

    Args:
        tune: "LoRA" for the attention layers, "LoRA all layers" for all of the network's blocks. Full weights are no
            part of an edit's file: `imagic.fine_tune` tunes them.
        rank: of the LoRA.
        steps: of Adam.
        learning_rate: in units of what each layer puts out: 0.001 lets a step change it by up to 1 %.
        schedule: of the learning rate, "cosine" (falls to zero) or "constant" (the paper).
        samples: (noise, level) pairs a step.
        gradient_checkpointing: a third more evaluations, a fraction of the memory.
        seed: of the noise.

    Raises:
        ValueError: one of them is of a type or in a range that the stage does not take.
    """

    tune: str = "LoRA"
    rank: int = 16
    steps: int = 10
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    samples: int = 2
    gradient_checkpointing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self)
        if not self.tune.startswith("LoRA"):
            raise ValueError(f"An edit is kept as a LoRA: tune {self.tune} by imagic.fine_tune itself.")


def _check(settings: EmbeddingSettings | TuningSettings) -> None:
    for field in fields(settings):
        name, value = f"{field.name} of {type(settings).__name__}", getattr(settings, field.name)
        if field.name in _WHOLE:
            checks.integer(name, value, *_WHOLE[field.name])
        elif field.name in _CHOICES:
            checks.choice(name, value, _CHOICES[field.name])
        elif field.name == "learning_rate":
            checks.number(name, value, 1e-8, 1)
        else:
            checks.flag(name, value)


def of_kind(name: str, value: Any, kind: type) -> Any:
    """Settings of a stage. Raises ValueError if they are none."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {checks.shown(value)}: give it {kind.__name__}(steps=40), say.")
    return value
