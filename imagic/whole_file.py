"""Writes a file whole or not at all, and clears away what a process that was killed had begun."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError

from .causes import as_cause
from .checks import one_line

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = "lock"
# Folders beside the file that is written, and, of the versions before, the files themselves.
UNFINISHED = (".imagic-*.unfinished", ".*.safetensors.*.unfinished")
LONGEST = 200  # characters of a path that a sentence repeats

_FULL = "its disk is full: free some space, and save again"
_READ_ONLY = "nothing may be written there: allow it, or save to another folder"
_NO_FOLDER = "a file is where its folder would be: rename that file, or save to another folder"
_LOOP = "a link on the way leads back to itself: remove the link"
REASONS = {
    errno.ENOSPC: _FULL,
    getattr(errno, "EDQUOT", errno.ENOSPC): _FULL,
    errno.EFBIG: "it is larger than its disk or this process may hold in a file: save to another disk",
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.EROFS: _READ_ONLY,
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.EISDIR: "a folder has its name: choose another name",
    errno.ELOOP: _LOOP,
    errno.ENOENT: "its folder is not there: make it first",
    errno.ENAMETOOLONG: "its name is too long: shorten it",
}


class NotWritten(OSError):
    """A file that could not be written: one sentence that says why; `errno` is the system's number, if it told one."""

    def __init__(self, sentence: str, number: int | None = None):
        super().__init__(sentence)
        self.errno = number


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Whatever keeps `path` from being written is raised as `NotWritten`."""
    try:
        yield
    except NotWritten:
        raise
    except (OSError, SafetensorError) as error:
        number = getattr(error, "errno", None)
        # safetensors raises an error of its own, and tells the system's number in its words alone.
        if number is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
            number = int(found[1])
        reason = REASONS.get(number, f"the system says {one_line(str(error), LONGEST)!r}: save to another folder")
        sentence = f"{one_line(str(path), LONGEST)} cannot be written, since {reason}."
        raise NotWritten(sentence, number) from as_cause(error)
    except RuntimeError as error:  # of older Pythons' `Path.resolve`
        if "loop" not in str(error):
            raise
        raise NotWritten(f"{one_line(str(path), LONGEST)} cannot be written, since {_LOOP}.") from as_cause(error)


@contextmanager
def whole(path: Path, aside: Path | None = None) -> Iterator[Path]:
    """Where to write a file, which is at `path` when the context ends without an error.

    Whoever looks at `path`, at any time, finds the whole file or the one before it. What was begun and not finished, by
    this process or by one that is no longer there, is removed from the folder.

    Args:
        aside: a folder of the same disk to write it in, where `path` is in one of too many files to look through each
            time.

    Raises:
        NotWritten: the system does not take it.
    """
    with explained(path):
        place = path.parent if aside is None else aside
        sweep(place)
        # A folder, since safetensors may write to a file of another name first.
        folder, lock = _begin(place)
        try:
            unfinished = folder / "edit"
            with unfinished.open("xb") as file:  # to learn what mode files have here; safetensors takes one of its own
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            yield unfinished
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            unfinished.chmod(mode)
            os.replace(unfinished, path)
        finally:
            if fcntl is None:
                lock.close()  # Windows removes nothing that is open
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()


def sweep(folder: Path, pattern: str = "") -> None:
    """Remove what was begun in a folder by processes that are no longer there.

    Args:
        pattern: "**/" for all folders below as well.
    """
    for known in UNFINISHED:
        for path in folder.glob(f"{pattern}{known}"):
            with contextlib.suppress(OSError):
                if not path.is_dir():
                    path.unlink()
                    continue
                with (path / LOCK).open("ab") as lock:
                    if not _locked(lock):
                        continue
                    if fcntl is not None:  # while it is locked, lest a process that has just begun loses it
                        shutil.rmtree(path, ignore_errors=True)
                        continue
                (path / LOCK).unlink()  # Windows refuses that while another process holds it open
                shutil.rmtree(path, ignore_errors=True)


def _begin(parent: Path) -> tuple[Path, BinaryIO]:
    """A folder of one's own to write in, and the open file that tells others so, for as long as this process lives."""
    while True:
        folder = parent / f".imagic-{secrets.token_hex(6)}.unfinished"
        folder.mkdir()
        with contextlib.suppress(FileNotFoundError):  # another process has swept it before it was locked
            lock = (folder / LOCK).open("xb")
            if _locked(lock, wait=True) and (folder / LOCK).exists():
                return folder, lock
            lock.close()


def _locked(file: BinaryIO, *, wait: bool = False) -> bool:
    """Whether the file is now locked by this process. Windows needs no lock, since it keeps what is open."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return wait  # a file system without locks: nothing there is swept, and all can be written
    return True
