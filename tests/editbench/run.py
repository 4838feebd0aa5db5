"""Run methods on pairs, in several processes, telling how far it is."""

import multiprocessing
import os
import time
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from functools import cache, lru_cache

import torch

from . import methods, pairs
from .cost import Cost
from .outcome import Outcome
from .store import Store, Task
from .studio import Studio

WORKERS = 2


def tasks(known: dict[str, methods.Method], group: str, limit: int | None, model: str = "demo") -> list[Task]:
    """What to do in a group, pair by pair, so that whatever ends it early leaves whole pairs. What another method does
    as well is not done twice."""
    return [
        Task(name, group, index, model)
        for index in range(len(pairs.group(group)))
        for name, method in methods.on(model, known).items()
        if method.like is None
        if index < min(size for size in (limit, getattr(method, group), index + 1) if size is not None)
    ]


def processes(workers: int) -> Executor:
    """One thread a process: two such edit more in an hour than one process on two."""
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare)


def run(todo: list[Task], store: Store, pool: Executor, workers: int) -> None:
    """Do on `pool` what is not yet in `store`; `workers` is how many tasks it does at a time."""
    missing = [task for task in todo if not store.has(task)]
    print(f"{len(todo)} edits, {len(todo) - len(missing)} of them done before", flush=True)
    started, spent = time.monotonic(), {}
    futures = {pool.submit(perform, task): task for task in missing}
    for number, future in enumerate(as_completed(list(futures)), 1):
        task = futures.pop(future)
        outcome, plain, seconds = future.result()
        store.write(task, outcome, plain)
        spent.setdefault((task.model, task.method), []).append(seconds)
        expected = {name: sum(values) / len(values) for name, values in spent.items()}
        unknown = sum(expected.values()) / len(expected)
        left = sum(expected.get((other.model, other.method), unknown) for other in futures.values()) / workers
        print(
            f"[{number}/{len(missing)}] {task.model} {task.method} {task.group} {task.index}: {seconds:.0f} s, "
            f"{_clock(time.monotonic() - started)} gone, about {_clock(left)} left",
            flush=True,
        )


def perform(task: Task) -> tuple[Outcome, Cost, float]:
    """The outcome of one task, a plain sample's cost on the same pair, and the seconds that both took."""
    start = time.perf_counter()
    plain = _plain(task.model, task.group, task.index)
    outcome = methods.available()[task.method].edit(_studio(task.model), pairs.group(task.group)[task.index])
    return outcome, plain, time.perf_counter() - start


@lru_cache(maxsize=1)
def _plain(model: str, group: str, index: int) -> Cost:
    """A plain sample when a process comes to a pair: now and then enough for a machine that is not always as fast."""
    return _studio(model).plain_sample()


@cache
def _studio(model: str) -> Studio:
    studio = Studio(model)
    studio.plain_sample()  # the first one of a process is slower
    return studio


def _prepare() -> None:
    torch.set_num_threads(1)
    # Subnormal numbers, which appear as optimiser moments fade, slow a CPU many times over.
    torch.set_flush_denormal(True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
