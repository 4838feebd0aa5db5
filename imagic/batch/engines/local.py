"""The local engine: one process a GPU, or this process alone; a worker that dies gives its rows back."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from ... import notices
from ..editor import Editor, Finished, NoWorker, explain, failed
from ..manifest import Row
from ..settings import Settings

TRIES = 3  # of a row whose worker ended at it, and of workers that end before they have begun


def run(
    units: Iterator[list[Row]], settings: Settings, folder: Path, output: Path, devices: Sequence[str]
) -> Iterator[Finished]:
    """Edit all units, one worker for each of the devices.

    Args:
        units: rows that share a photo and a tuning; taken one by one, as workers get free.
        devices: what each worker sees as its GPU, "" for none to choose: on a CPU, or on the only one.

    Raises:
        NoWorker: the model cannot be loaded.
    """
    if len(devices) == 1:
        try:
            editor = Editor(settings, folder, output)
        except Exception as error:
            raise NoWorker(explain(error)) from error
        for unit in units:
            yield from map(editor.edit, unit)
        return
    pool = _Pool(units, (settings, folder, output), devices)
    try:
        yield from pool.run()
    finally:
        pool.stop()


def devices(device: str, workers: int | None) -> list[str]:
    """What `run` takes: by default one worker for each GPU that this process sees, or one on the CPU.

    Args:
        device: "auto" or "cuda" for all that there are, or the one that all workers are to use, "cuda:1" say.
    """
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return [""] * (workers or 1)
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = seen.split(",") if seen else [str(number) for number in range(torch.cuda.device_count())]
    return [names[number % len(names)] for number in range(workers or len(names))]


@dataclass
class _Worker:
    device: str
    process: multiprocessing.Process
    pipe: Connection
    ready: bool = False  # it has loaded its model
    rows: deque[Row] = field(default_factory=deque)  # that it has been given and has not answered yet


class _Pool:
    def __init__(self, units: Iterator[list[Row]], arguments: tuple, devices: Sequence[str]):
        self._units, self._arguments = units, arguments
        self._back: deque[list[Row]] = deque()  # of workers that ended
        self._tries: dict[int, int] = {}  # by number of row, of those given back
        self._failed_starts = 0  # one after the other
        self._workers = [self._start(device) for device in devices]

    def run(self) -> Iterator[Finished]:
        while self._workers:
            for pipe in wait([worker.pipe for worker in self._workers]):
                worker = next(worker for worker in self._workers if worker.pipe is pipe)
                try:
                    answer = pipe.recv()
                except (EOFError, OSError):
                    yield from self._ended(worker)
                    continue
                if isinstance(answer, Finished):
                    worker.rows.popleft()
                    self._tries.pop(answer.result.number, None)
                    yield answer
                elif isinstance(answer, Exception):
                    raise answer
                else:
                    worker.ready, self._failed_starts = True, 0
                if not worker.rows:
                    self._give(worker)

    def stop(self) -> None:
        for worker in self._workers:
            worker.process.kill()  # it holds nothing that is not in a file
            worker.process.join()

    def _start(self, device: str) -> _Worker:
        # Not forked: neither CUDA nor torch's threads go on in a child.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, device, *self._arguments), daemon=True)
        with _uninterrupted():
            process.start()
        theirs.close()
        return _Worker(device, process, ours)

    def _give(self, worker: _Worker) -> None:
        """The next unit; where there is none, the worker has nothing to do any more."""
        unit = self._back.popleft() if self._back else next(self._units, None)
        try:
            worker.pipe.send(unit)
        except OSError:  # it has just ended, which its pipe tells next
            if unit:
                self._back.appendleft(unit)
            return
        if unit is None:
            self._workers.remove(worker)
            worker.process.join()
        else:
            worker.rows.extend(unit)

    def _ended(self, worker: _Worker) -> Iterator[Finished]:
        """A worker was killed or crashed: another takes its place, and its rows are tried again."""
        worker.process.join()
        self._workers.remove(worker)
        self._failed_starts += not worker.ready
        if self._failed_starts == TRIES:
            raise NoWorker(f"A worker ended while it loaded the model, with exit code {worker.process.exitcode}.")
        if worker.rows:
            first = worker.rows[0]
            self._tries[first.number] = self._tries.get(first.number, 0) + 1
            if self._tries[first.number] == TRIES:
                worker.rows.popleft()
                code = worker.process.exitcode
                yield failed(first, f"Its worker ended {TRIES} times, last with exit code {code}: try it by itself.")
        if worker.rows:
            self._back.append(list(worker.rows))
        self._workers.append(self._start(worker.device))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C in a terminal reaches all processes. Those that are started in here do not hear it: `stop` ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which the first start would do, and then let the signal through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@notices.plain()
def _work(pipe: Connection, device: str, settings: Settings, folder: Path, output: Path) -> None:
    """A worker's life: load the model, then edit units until there are no more."""
    if device:
        os.environ["CUDA_VISIBLE_DEVICES"] = device  # before CUDA is asked for the first time
    try:
        editor = Editor(settings, folder, output)
    except Exception as error:
        pipe.send(NoWorker(explain(error)))
        return
    pipe.send(None)
    try:
        while unit := pipe.recv():
            for row in unit:
                pipe.send(editor.edit(row))
    except (EOFError, OSError, KeyboardInterrupt):
        return  # the run has ended
