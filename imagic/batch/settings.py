"""What a whole run is done with: every picture of an output folder is made with the same settings."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import checks
from ..whole_file import whole
from . import results

FILE = "settings.json"
PEERS = "ledits", "sdedit"  # see `diffusers.peers`


@dataclass(frozen=True)
class Settings:
    """What decides the bytes of the pictures, beside the manifest. All of it can be sent to another machine."""

    model: str  # a folder, an id of a hub, or "demo"
    device: str = "auto"
    dtype: str = "auto"
    offload: str = "none"
    config: str | None = None  # a folder that tells the sizes of a model of one file
    recipe: str = "default"  # or "paper", see `bench.paper`, or one of `PEERS`
    instant: bool = False  # a caption in the place of a tuning
    embedding_steps: int | None = None  # None for the method's own
    tuning_steps: int | None = None
    num_inference_steps: int = 20
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    size: int | None = None  # side of the square whose area is drawn, in pixels; None for the model's own
    gradient_checkpointing: bool = False
    as_drawn: bool = False  # as the model drew it, not put back into the photo
    threshold: float = 0.4
    save_edits: bool = False
    scores: bool = False
    threads: int = 1  # of the CPU for each worker; other numbers may round in another way

    def differs(self, other: dict) -> str:
        """The name of the first setting that is another, or ""."""
        mine = asdict(self)
        return next((name for name in mine if name in other and other[name] != mine[name]), "")


class OtherSettings(ValueError):
    """A folder whose pictures were made with other settings."""


def keep(settings: Settings, output: Path) -> None:
    """Write the settings into the output folder, or compare them with those of the pictures that are there.

    Raises:
        OtherSettings: its pictures were made in another way.
        NotWritten: the disk does not take the file, or a run that has no picture yet goes on with other settings.
    """
    file = output / FILE
    if file.is_file():
        before = _read(file)
        name = FILE if before is None else settings.differs(before)
        if name and _has_pictures(output):
            if before is None:
                raise OtherSettings(f"{file} is damaged, and {output} holds pictures: choose another output folder.")
            raise OtherSettings(
                f"{output} holds pictures with {name} {before[name]!r}, not {asdict(settings)[name]!r}: "
                "choose another output folder, or the same settings."
            )
        if not name:
            return
    with whole(file) as unfinished:
        unfinished.write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")


def _read(file: Path) -> dict | None:
    """What a run kept, or None where that is damaged."""
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return before if isinstance(before, dict) and "threads" in before else None


def _has_pictures(output: Path) -> bool:
    """Whether a run has got so far as to make one: a mistyped command binds nobody. Raises NotWritten as `Table`."""
    for path in filter(results.is_table, sorted(output.glob("results*.csv"))):
        with results.Table(path):  # which another run may have open
            if any(result.status == results.DONE for result in results.read(path)):
                return True
    return False


def chosen_threads(wanted: int | None, output: Path) -> int:
    """As many as were asked for, else as in the run that began the output folder, else as PyTorch takes by itself.

    Raises:
        ValueError: no process can have that many.
    """
    if wanted is not None:
        return checks.integer("--threads", wanted, 1, 1024)
    file = output / FILE
    if file.is_file() and (before := _read(file)):
        return before["threads"]
    import torch  # not above: the command tells what is wrong with its options before it takes seconds

    return torch.get_num_threads()
