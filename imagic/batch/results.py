"""The table of what became of each row: CSV, one line a row, only ever added to."""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from ..checks import one_line
from ..whole_file import NotWritten, explained

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

DONE, FAILED = "done", "failed"
LONGEST = 400  # characters of an error


def now() -> str:
    """The time, in UTC. Later ones are greater as texts."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Result:
    """What became of a row."""

    number: int  # of the row in the manifest
    output: str
    status: str  # DONE or FAILED
    seconds: float = 0.0
    evaluations: int = 0  # of the network on one latent, a backward pass counted as in `History.forward_equivalents`
    alignment: float | None = None  # how much better than the photo the picture shows the sentence, see `scoring`
    fidelity: float | None = None  # how much of the photo's structure is where it was; 1 is the photo itself
    peak_mib: int = 0  # of the GPU's memory
    error: str = ""  # one sentence
    edit: str = ""  # the edit file, if it was asked for
    key: str = ""  # of the row, see `Row.key`
    ended: str = field(default_factory=now, compare=False)  # which of two tables has the last word; "" if not known
    stamp: str = ""  # sizes and times of photo and mask before they were read, see `sources`; "" if not known
    content: str = ""  # a digest of what they held; "" if not known


COLUMNS = tuple(field.name for field in fields(Result))
# The others are of tables that were begun before rows told of their photo, and before they told when they ended.
HEADINGS = COLUMNS, COLUMNS[:-2], COLUMNS[:-3]
LONGEST_HEADING = 2**16  # bytes; a file whose first line is longer is none of ours


class Table:
    """A results table that this process alone adds to, from `with` until the end of it.

    Whoever reads it, at any time, finds whole lines, but for a last one that ends nowhere if the machine itself
    stopped; the next run takes that one away.

    Raises:
        NotWritten: another run adds to it, it is no table of ours, or the disk does not take it. It is as it was.
    """

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "Table":
        with explained(self.path):
            self._file = self.path.open("ab+", buffering=0)
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                raise NotWritten(f"Another run writes to {self.path}: wait until it ends, or stop it.") from None
            except OSError:
                pass  # a file system without locks
        try:
            _check(self._file, self.path)
            _end_with_a_whole_line(self._file)
            if not self._file.tell():
                self._write(_line(COLUMNS))
        except NotWritten:
            self._file.close()
            raise
        self._file.seek(0)
        self._columns = _columns(self._file.readline(LONGEST_HEADING))
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def append(self, result: Result) -> None:
        """Add a row. It is on the disk when this returns.

        Raises:
            NotWritten: the disk does not take it; the table is as it was.
        """
        cells = asdict(result) | {"seconds": f"{result.seconds:.3f}", "error": one_line(result.error, LONGEST)}
        for name in ("alignment", "fidelity"):
            cells[name] = "" if cells[name] is None else f"{cells[name]:.6g}"
        self._write(_line(cells[name] for name in self._columns))

    def _write(self, line: bytes) -> None:
        end = self._file.seek(0, os.SEEK_END)
        with explained(self.path):
            try:
                while line:  # a disk that is about to be full takes a part, and says so of the next
                    line = line[self._file.write(line) :]
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(end)
                raise


def is_table(path: Path) -> bool:
    """Whether a file starts as a table that can be added to, and is not one of the user's own."""
    with path.open("rb") as file:
        return bool(_columns(file.readline(LONGEST_HEADING)))


def check(path: Path) -> None:
    """Raises NotWritten if there is a file that no `Table` would add to."""
    if path.exists():
        with explained(path), path.open("rb") as file:
            _check(file, path)


def _check(file: BinaryIO, path: Path) -> None:
    """A file that does not begin as ours do may be the user's own. Nothing of it is cut off, and nothing added.

    A heading that breaks off inside of a word is ours: the machine stopped while it was written.
    """
    file.seek(0)
    heading = file.readline(LONGEST_HEADING)
    torn = any(
        line.startswith(heading) and line[len(heading) : len(heading) + 1] != b"," for line in map(_line, HEADINGS)
    )
    if not torn and not _columns(heading):
        raise NotWritten(f"{path} has other columns than this version writes: choose another output folder.")


def read(path: Path) -> Iterator[Result]:
    """The rows of a table, one after the other; none of a file that is no table of ours.

    A last line that ends nowhere is left out, and so is a line that cannot be read.
    """
    with path.open("rb") as file:
        columns = _columns(file.readline(LONGEST_HEADING))
        for line in file if columns else ():
            # Earlier versions wrote line breaks of names that they refused, and people write into tables.
            with suppress(csv.Error, ValueError):
                values = next(csv.reader([line.decode("utf-8", "replace")]))
                if len(values) == len(columns) and line.endswith(b"\n"):
                    yield _result(dict(zip(columns, values, strict=True)))


def _result(cells: dict[str, str]) -> Result:
    """Raises ValueError where there is a text in the place of a number."""
    scores = {name: float(cells[name]) if cells[name] else None for name in ("alignment", "fidelity")}
    numbers = {name: kind(cells[name]) for name, kind in _NUMBERS.items()}
    return Result(**dict.fromkeys(COLUMNS[-3:], "") | cells | scores | numbers)


_NUMBERS = {"number": int, "seconds": float, "evaluations": int, "peak_mib": int}


def _columns(heading: bytes) -> tuple[str, ...]:
    """The columns of a table with this first line; none if it is no table of ours."""
    return next((columns for columns in HEADINGS if heading == _line(columns)), ())


def _line(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _end_with_a_whole_line(file) -> None:
    """Cut off what comes after the last line's end, and stand there."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - 2**16)  # lines are far shorter
    file.seek(start)
    rest = file.read(end - start)
    file.truncate(start + rest.rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)
