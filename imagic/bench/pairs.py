"""What both benchmarks are made of: a photo, and a sentence that it is to show."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image


class NotABenchmark(ValueError):
    """A folder that is not laid out as the benchmark is published."""


@dataclass(frozen=True)
class Pair:
    """One edit of a benchmark."""

    name: str  # of its pictures
    photo: Path
    target: str
    caption: str = ""  # what the photo shows, where the benchmark says it
    kind: str = ""  # of the edit, where the benchmark sorts them
    mask: Image.Image | None = field(default=None, compare=False)  # of the photo's size, white where the edit belongs
    published: Path | None = None  # the picture of the paper that made the benchmark


def read_json(path: Path, hint: str) -> Any:
    """A file of a benchmark. Raises NotABenchmark with the hint where it is not there or none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise NotABenchmark(f"There is no {path}: {hint}") from None
    except ValueError:
        raise NotABenchmark(f"{path} is no JSON: {hint}") from None


def existing(path: Path, hint: str) -> Path:
    """A photo of a benchmark. Raises NotABenchmark where it is not there."""
    if not path.is_file():
        raise NotABenchmark(f"There is no {path}: {hint}")
    return path
