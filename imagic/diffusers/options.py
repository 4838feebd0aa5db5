"""What a caller asks for, checked before anything is computed: one sentence that says what to change."""

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import checks
from ..finetuning import TUNE_MODES
from ..training import SCHEDULES

# As the nodes' widgets have them.
WHOLE = {"steps": (1, 10000), "samples": (1, 64), "rank": (1, 512), "seed": checks.SEEDS}
CHOICES = {"schedule": SCHEDULES, "tune": TUNE_MODES}
ETA, THRESHOLD, GUIDANCE, SAMPLER_STEPS = (-2, 3), (0, 0.95), (0, 100), (1, 1000)


def check_stage(name: str, stage: Callable, options: Mapping[str, Any]) -> None:
    """Options for `optimize_embedding` or `fine_tune`.

    Raises:
        ValueError: one that the stage does not know, or of a type or in a range that it does not take.
    """
    if not isinstance(options, Mapping):
        raise ValueError(f'{name} is {checks.shown(options)}: give it a dict such as {{"steps": 40}}.')
    parameters = inspect.signature(stage).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    for key, value in options.items():
        checks.choice(f"A key of {name}", key, known)
        what = f"{key} of {name}"
        if key in WHOLE:
            checks.integer(what, value, *WHOLE[key])
        elif key in CHOICES:
            checks.choice(what, value, CHOICES[key])
        elif key == "learning_rate":
            checks.number(what, value, 1e-8, 1)
        elif key == "gradient_checkpointing":
            checks.flag(what, value)
        elif key == "on_step":
            check_callback(what, value)


def check_callback(name: str, value: Any) -> None:
    """Raises ValueError unless it can be called."""
    if not callable(value):
        raise ValueError(f"{name} is {checks.shown(value)}: give it a function that takes a Step.")


def check_region(region: Any, latent: Tensor) -> Tensor:
    """A region [1, 1, ..., h, w] in 0..1, of the latent's size.

    Raises:
        ValueError: it is of another shape, or holds what is no share.
    """
    shape = [1, 1, *latent.shape[2:]]
    if not isinstance(region, Tensor) or list(region.shape) != shape:
        raise ValueError(f"region is {checks.shown(region)}: give it what ImagicEdit.region gives, a tensor {shape}.")
    checks.finite("region", region, "find or draw it again")
    if region.min() < 0 or region.max() > 1:
        raise ValueError("region holds values outside of 0 to 1: scale them, 1 is where the photo may change.")
    return region


def file_path(path: Any) -> Path:
    """A path to a file.

    Raises:
        ValueError: it is none, leads to a folder, or into one that is not there.
    """
    if not isinstance(path, str | os.PathLike) or not str(path) or "\0" in str(path):
        raise ValueError(f"path is {checks.shown(path)}: give it the path of a file.")
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"path is the folder {checks.shown(str(path))}: add a file's name.")
    if not path.parent.is_dir():
        raise ValueError(f"The folder {checks.shown(str(path.parent))} is not there: make it first.")
    return path
