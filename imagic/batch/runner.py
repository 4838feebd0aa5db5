"""A run: rows of a plan go to an engine, and what comes back goes to the disk, picture first, then its line."""

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from .. import notices
from ..checks import one_line
from ..whole_file import NotWritten, explained, whole
from . import sources
from .editor import Finished, failed
from .manifest import Manifest, Row
from .plan import AGAIN, WHOLE, Counts, Plan, Shard
from .results import DONE, FAILED, LONGEST, Table

ASIDE = ".imagic"  # a folder in the output folder: a large folder takes long to be searched for leftovers

# What is wrong with the name of one picture, and not with the folder.
OF_A_NAME = errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR

Engine = Callable[[Iterator[list[Row]]], Iterator[Finished]]


@dataclass
class Outcome:
    """What a run did. Of the plan's rows, those that an earlier run has done are in `counts` alone."""

    counts: Counts
    done: int = 0
    failed: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        before = f", {self.counts.done} were done before" if self.counts.done else ""
        failures = f", {self.failed} could not be done" if self.failed else ""
        told = f" ({self.untold} of them not listed above)" if self.untold else ""
        return f"{self.done} of {self.counts.total} pictures in {self.seconds:.0f} s{before}{failures}{told}."

    @property
    def untold(self) -> int:
        """How many of the rows that no run can do only the table tells, since an earlier run has told them."""
        return max(0, self.counts.told - AGAIN)


def run(
    manifest: Manifest,
    output: Path,
    engine: Engine,
    *,
    shard: Shard = WHOLE,
    on_row: Callable[[Finished, Outcome], None] = lambda finished, outcome: None,
) -> Outcome:
    """Do all rows of a manifest that are not done yet.

    Args:
        output: a folder, made if it is not there: pictures, the results table, edit files.
        engine: edits units of rows, in any order.
        shard: the part of the manifest that is this process's.
        on_row: called after every row, and for the first of those that no run can do, as an earlier one has told.

    Raises:
        NotAManifest: the manifest cannot be read.
        NotWritten: the disk is full, or another run writes there. What was done is done.
    """
    with explained(output):
        (output / ASIDE).mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with Table(output / shard.table) as table, Plan(manifest, output, shard) as plan:
        outcome = Outcome(plan.counts)
        outcome.failed = plan.counts.bad
        for row in plan.told:
            on_row(failed(row, row.error), outcome)
        for row in plan.bad_rows():
            finished = failed(row, row.error)
            table.append(finished.result)
            on_row(finished, outcome)
        work = _Work(plan, manifest.path.parent)
        with closing(work.done_by(engine)) as worked:
            for finished in worked:
                finished = keep(finished, output, table, plan)
                outcome.done += finished.result.status == DONE
                outcome.failed += finished.result.status != DONE
                outcome.seconds = time.monotonic() - start
                on_row(finished, outcome)
        outcome.seconds = time.monotonic() - start
    return outcome


class _Work:
    """The rows of a plan on their way through an engine. It notes what their photos are before they are read."""

    def __init__(self, plan: Plan, folder: Path):
        self._plan, self._folder = plan, folder
        self._begun: dict[int, tuple[Row, str]] = {}  # by number, with their stamps

    def done_by(self, engine: Engine) -> Iterator[Finished]:
        """The engine's rows; where there are none to do, no model is loaded."""
        for finished in engine(self._units()) if self._plan.counts.todo else ():
            yield self._noted(finished)

    def _units(self) -> Iterator[list[Row]]:
        for unit in self._plan.units():
            self._begun |= {row.number: (row, sources.stamp(row, self._folder)) for row in unit}
            yield unit

    def _noted(self, finished: Finished) -> Finished:
        row, stamp = self._begun.pop(finished.result.number)
        content = finished.result.content
        # Of an engine that does not tell: still what was read, unless it has been replaced meanwhile.
        if not content and finished.result.status == DONE and stamp == sources.stamp(row, self._folder):
            content = sources.read_content(row, self._folder)
        return replace(finished, result=replace(finished.result, stamp=stamp, content=content))


def keep(finished: Finished, output: Path, table: Table, plan: Plan) -> Finished:
    """Write a row's files, then its line: a line says that its picture is whole.

    Returns:
        What the line says: a row whose picture cannot have the name that it asks for has failed.

    Raises:
        NotWritten: the disk is full, or refuses.
    """
    result = finished.result
    for name, content in finished.files.items():
        path = output / name
        try:
            with explained(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path, output / ASIDE) as unfinished:
                unfinished.write_bytes(content)
        except NotWritten as error:
            if name != finished.result.output or error.errno not in OF_A_NAME:
                raise
            result = replace(result, status=FAILED, error=one_line(str(error), LONGEST))
    if result.status == DONE or not plan.failed_before(result.key, result.error):
        table.append(result)
    return replace(finished, result=result)


def progress(finished: Finished, outcome: Outcome) -> None:
    """A line on a terminal that tells how far the run is; a line for each row that failed, on a terminal in its place.

    After the last row the line is ended, so that what comes next has one of its own.
    """
    result, counts, terminal = finished.result, outcome.counts, sys.stderr.isatty()
    if result.error:
        _tell(f"Row {result.number}: {result.error}", over=terminal)
    if terminal and counts.todo:
        tried = outcome.done + outcome.failed - counts.bad
        left = outcome.seconds / max(1, tried) * (counts.todo - tried)
        _tell(
            f"{counts.done + outcome.done} of {counts.total} done, {outcome.failed} failed, {left / 60:.0f} min left ",
            over=True,
            end="\n" if tried == counts.todo else "",
        )


def _tell(line: str, *, over: bool, end: str = "\n") -> None:
    """Write a line to the terminal, over the last one if that was not ended."""
    print(notices.over(line) if over else line, end=end, file=sys.stderr, flush=True)
