"""Finished training stages on disk, so that nothing is trained twice."""

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .digest import digest
from .training import History
from .whole_file import NotWritten, explained, whole

SUFFIX = ".stage"
FORMAT = "imagic stage"  # the key of the format's entry in the file's metadata

Stage = tuple[dict[str, Tensor], History]  # what a stage gives


class Finished:
    """Finished stages by key, up to so many bytes: the one that was used longest ago goes first.

    Processes may share a folder. Files appear whole or not at all, and a file that another process has just removed is
    one that was never there.
    """

    def __init__(self, folder: Path, most: int):
        """
        Args:
            folder: made when the first stage is kept; only files that end in `SUFFIX` are touched.
            most: bytes of all files together.
        """
        self.folder, self.most = folder, most

    def get(self, key: str) -> Stage | None:
        """The stage of a key, its tensors on the CPU. A damaged file is removed and counts as none.

        One that the system does not read now, since too many files are open, say, counts as none too, and stays.
        """
        path = self._path(key)
        try:
            found = _read(path)
        except OSError:
            return None
        # RuntimeError: torch's, of shapes that no tensor can have. RecursionError: of lists in lists.
        except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, RecursionError):
            _remove(path)
            return None
        with contextlib.suppress(OSError):  # another process has removed it since, or may read it only
            os.utime(path)
        return found

    def put(self, key: str, stage: Stage) -> str | None:
        """Keep a stage, and remove others until all fit.

        Returns:
            None, or the sentence why it is not kept. One larger than half of what all may take is not, lest it drive
            out everything else. Neither is one that the disk does not take.
        """
        tensors, history = stage
        size = sum(tensor.numel() * tensor.dtype.itemsize for tensor in tensors.values())
        if size > self.most // 2:
            return f"It takes {size / 1e9:.3g} GB, more than half of the {self.most / 1e9:.3g} GB for all trainings."
        try:
            with explained(self._path(key)):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._make_room(size)
                with whole(self._path(key)) as unfinished:
                    _write(unfinished, tensors, history)
        except NotWritten as error:
            return str(error)
        self._make_room(0)  # for what other processes have kept meanwhile, and headers
        return None

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def _make_room(self, size: int) -> None:
        """Remove what was used longest ago until `size` bytes more fit."""
        ages = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                ages.append((state.st_mtime_ns, state.st_size, path))
        total = size + sum(bytes_ for _, bytes_, _ in ages)
        for _, bytes_, path in sorted(ages):
            if total <= self.most:
                return
            _remove(path)
            total -= bytes_


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone already, or open in another process, which Windows keeps
        path.unlink()


def _write(path: Path, tensors: dict[str, Tensor], history: History) -> None:
    # By number, since the order counts and a file of this format has none. Copies, since it refuses shared memory.
    numbered = {str(place): tensor.detach().cpu().contiguous().clone() for place, tensor in enumerate(tensors.values())}
    told = {"names": list(tensors), "history": asdict(history)}
    told["checksum"] = digest([told, numbered])
    save_file(numbered, path, {FORMAT: json.dumps(told)})


def _read(path: Path) -> Stage:
    if not path.exists():  # safetensors raises an error of its own
        raise FileNotFoundError(path)
    try:
        opened = safe_open(path, "pt")
    except RuntimeError as error:  # torch's, which opens the file once more; damage shows below
        raise OSError(str(error)) from None
    with opened as file:
        told = json.loads((file.metadata() or {})[FORMAT])
        numbered = {place: file.get_tensor(place) for place in file.keys()}  # noqa: SIM118 - it is no dict
    checksum = told.pop("checksum")
    if digest([told, numbered]) != checksum:
        raise ValueError(f"{path.name} is damaged.")
    # Ordinary memory, not the file's, which another process may remove.
    tensors = {name: numbered[str(place)].clone() for place, name in enumerate(told["names"])}
    if len(tensors) != len(numbered):
        raise ValueError(f"{path.name} is damaged.")
    return tensors, History(**told["history"])
