"""A batch in a process group of its own: watched by its table, its workers killed, or all of it."""

import csv
import hashlib
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil

from scripts import hosts

from . import world


class Batch:
    """A run of the command."""

    def __init__(self, manifest: Path, output: Path, *arguments: str):
        self.output = output
        output.parent.mkdir(parents=True, exist_ok=True)
        self.log = output.parent / f"{output.name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                world.command(manifest, output, *arguments),
                env=os.environ | world.ENVIRONMENT,
                cwd=hosts.ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.highest = 0  # bytes that the first process held at most, from the time when it had done some rows

    def wait_for(self, rows: int, seconds: float = 1800) -> None:
        """Until the table has so many rows done, or the run is over."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and len(done(self.output)) < rows:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def kill_worker(self, kind: str) -> int:
        """Kill one of the processes that hold a model, and tell how many rows were done by then.

        What hands out the work stands still meanwhile: a quick batch could end while its workers are looked for.
        """
        assert self.process.poll() is None, f"It was over before a worker was killed:\n{self.log.read_text()}"
        self.process.send_signal(signal.SIGSTOP)
        try:
            self.workers(kind)[0].kill()
            return len(done(self.output))
        finally:
            self.process.send_signal(signal.SIGCONT)

    def workers(self, kind: str) -> list[psutil.Process]:
        """The processes that hold a model."""
        marks = {"local": "multiprocessing.spawn import spawn_main", "ray": "ray::MapWorker"}
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if marks[kind] in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def memory(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def finish(self, seconds: float = 3600) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        """All of it at once, as a machine that is switched off."""
        everything = [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]
        for process in everything:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        psutil.wait_procs(everything[:-1], 30)


def rows(output: Path) -> list[dict[str, str]]:
    """The tables' whole lines."""
    found = []
    for table in sorted(output.glob("results*.csv")):
        lines = [line for line in table.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        found += csv.DictReader(lines)
    return found


def done(output: Path) -> list[str]:
    return [row["output"] for row in rows(output) if row["status"] == "done"]


def twice(output: Path) -> int:
    """Pictures that were made more than once."""
    return sum(count - 1 for count in Counter(done(output)).values())


def digests(output: Path) -> dict[str, str]:
    """The pictures' bytes."""
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.rglob("*.png")
    }
