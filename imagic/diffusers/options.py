"""What a caller asks for, checked before anything is computed: one sentence that says what to change."""

import os
from pathlib import Path
from typing import Any

import torch

from .. import checks

ETA, THRESHOLD, GUIDANCE, STEPS = checks.ETA, checks.THRESHOLD, checks.GUIDANCE, checks.STEPS


def check_callback(name: str, value: Any) -> None:
    """Raises ValueError unless it can be called."""
    if not callable(value):
        raise ValueError(f"{name} is {checks.shown(value)}: give it a function.")


def check_generator(value: Any) -> torch.Generator:
    """Raises ValueError unless it is one."""
    if not isinstance(value, torch.Generator):
        raise ValueError(f"generator is {checks.shown(value)}: give it torch.Generator().manual_seed(0), say.")
    return value


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
