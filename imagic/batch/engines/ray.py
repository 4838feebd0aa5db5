"""The Ray engine: Ray Data's `map_batches` with an actor for each GPU, on this machine or on a cluster.

Units go to Ray a window at a time, so that neither this process nor the object store ever holds all rows. A unit is a
block of its own: where an actor is lost, Ray starts another, and only that block is done again.
"""

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ...checks import one_line
from ..editor import Editor, Finished, NoWorker, explain, failed, read_file
from ..manifest import Row
from ..results import LONGEST, Result
from ..settings import Settings

WINDOW = 1000  # units that Ray is given at a time
RETRIES = 2  # of a unit whose actor was lost


@dataclass(frozen=True)
class Cluster:
    """Where Ray is, and how much of it is to be used."""

    address: str | None = None  # of a cluster's head; None for a Ray of this process's own
    workers: int | None = None  # None for as many as have GPUs, or one
    gpus: float | None = None  # of each worker; a half lets two share one. None for one, where there are any
    send_photos: bool = False  # read them here and send them, for workers that do not see this disk

    def size(self, gpus: float) -> tuple[int, float]:
        """The number of workers, and the GPUs of each, on a cluster that has so many."""
        each = min(1.0, gpus) if self.gpus is None else self.gpus
        return self.workers or (max(1, int(gpus / each)) if each else 1), each


class NoRay(ImportError):
    """Ray is not installed."""


def run(
    units: Iterator[list[Row]], settings: Settings, folder: Path, output: Path, cluster: Cluster
) -> Iterator[Finished]:
    """Edit all units.

    Args:
        units: rows that share a photo and a tuning.
        folder, output: see `Editor`; workers on other machines find them under the same paths, or not at all with
            photos from the object store.

    Raises:
        NoRay: it is not installed.
        NoWorker: there is no cluster, or the model cannot be loaded.
    """
    with ExitStack() as stack:
        data = _connect(stack, cluster)
        pool = _Pool(data, cluster, _Worker(settings, folder, output))
        while window := list(islice(units, WINDOW)):
            yield from pool.run(window)


def _connect(stack: ExitStack, cluster: Cluster) -> Any:
    """Ray Data, once there is a Ray. Raises as `run`."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise NoRay("Ray is not installed: pip install 'imagic[batch]'.") from None
    if not ray.is_initialized():
        package = Path(__file__).parents[2]
        options: dict[str, Any] = {"address": cluster.address or "local", "log_to_driver": False}
        if cluster.address:
            options["runtime_env"] = {"py_modules": [str(package)]}
        else:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what it says of lost workers is in the table
            options |= {"include_dashboard": False, "num_cpus": max((cluster.workers or 1) + 1, os.cpu_count() or 1)}
        try:
            ray.init(logging_level=logging.ERROR, **options)
        # No cluster is there, or one of another version, or the address is none.
        except (ConnectionError, RuntimeError, ValueError) as error:
            remedy = " Correct --address, or leave it out to work on this machine." if cluster.address else ""
            reason = one_line(str(error), LONGEST).rstrip(".")
            raise NoWorker(f"Ray does not start: {reason}.{remedy}") from error
        stack.callback(ray.shutdown)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []  # which find fault with a worker for holding a model
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.max_errored_blocks = -1  # a unit that is given up must not end the run
    return ray.data


@dataclass(frozen=True)
class _Worker:
    """What an actor needs to begin."""

    settings: Settings
    folder: Path
    output: Path


class _Pool:
    """Windows of units, done by actors that each hold the model."""

    def __init__(self, data: Any, cluster: Cluster, worker: _Worker):
        import ray

        self._data, self._cluster, self._worker = data, cluster, worker
        self._size, self._gpus = cluster.size(ray.cluster_resources().get("GPU", 0))

    def run(self, window: list[list[Row]]) -> Iterator[Finished]:
        yield from each_row(window, self._try)

    def _try(self, window: list[list[Row]]) -> Iterator[Finished]:
        """What comes of units; of one whose worker is lost again and again, nothing comes."""
        items = [{"rows": json.dumps([asdict(row) for row in unit]), "photo": b"", "masks": []} for unit in window]
        dataset = self._data.from_items(items, override_num_blocks=len(items))
        with warnings.catch_warnings():
            # Those before 2.64 take no other way to say where to read, and that a unit is not to be tried for ever.
            warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
            if self._cluster.send_photos:
                reader = _Reader(self._worker.folder)
                dataset = dataset.map(reader.read, concurrency=1, num_cpus=0.1, scheduling_strategy=_here())
            dataset = dataset.map_batches(
                _Actor,
                fn_constructor_args=(self._worker,),
                batch_size=1,
                batch_format="pyarrow",
                compute=self._data.ActorPoolStrategy(size=self._size, max_tasks_in_flight_per_actor=2),
                num_gpus=self._gpus or None,
                num_cpus=1,
                max_restarts=-1,
                max_task_retries=RETRIES,
            )
        for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for done in batch.to_pylist():
                if done["ended"]:
                    raise NoWorker(done["ended"])
                result = Result(**json.loads(done["result"]))
                yield Finished(result, dict(zip(done["names"], done["contents"], strict=True)))


def each_row(window: list[list[Row]], attempt: Callable[[list[list[Row]]], Iterator[Finished]]) -> Iterator[Finished]:
    """Try units, then each row of those that were lost by itself: one row that ends its worker costs no other.

    Args:
        attempt: tries units; of those that are lost, nothing comes.
    """
    left = {row.number: row for unit in window for row in unit}
    units = window
    for _ in range(2):
        for finished in attempt(units) if units else ():
            del left[finished.result.number]
            yield finished
        units = [[row] for row in left.values()]
    for row in left.values():
        yield failed(row, f"Its worker was lost {2 * (RETRIES + 1)} times: try it by itself.")


class _Actor:
    """Holds the model, and edits the units that come."""

    def __init__(self, worker: _Worker):
        self.ended = ""
        try:
            self.editor = Editor(worker.settings, worker.folder, worker.output)
        except Exception as error:  # told by the first unit: Ray would start it again and again
            self.ended = explain(error)

    def __call__(self, units: Any) -> Any:
        import pyarrow

        if self.ended:
            done = [{"ended": self.ended, "result": "", "names": [], "contents": []}]
        else:
            done = [self._edit(*row) for unit in units.to_pylist() for row in _rows(unit)]
        return pyarrow.Table.from_pylist(done, _schema(pyarrow))

    def _edit(self, row: Row, photo: bytes | None, mask: bytes | None) -> dict[str, Any]:
        finished = self.editor.edit(row, photo, mask)
        names, contents = list(finished.files), list(finished.files.values())
        return {"ended": "", "result": json.dumps(asdict(finished.result)), "names": names, "contents": contents}


def _schema(pyarrow: Any) -> Any:
    """Of what an actor gives back, which an empty list alone would not tell."""
    text, files = pyarrow.string(), pyarrow.large_binary()
    return pyarrow.schema(
        {"ended": text, "result": text, "names": pyarrow.list_(text), "contents": pyarrow.list_(files)}
    )


def _rows(unit: dict[str, Any]) -> Iterator[tuple[Row, bytes | None, bytes | None]]:
    """The rows of a unit, and their photo and mask where those were sent."""
    for number, values in enumerate(json.loads(unit["rows"])):
        mask = unit["masks"][number] if unit["masks"] else None
        yield Row(**values), unit["photo"] or None, mask or None


@dataclass(frozen=True)
class _Reader:
    """Reads photos and masks where the run was started. What is not there is left to the worker to tell."""

    folder: Path

    def read(self, unit: dict[str, Any]) -> dict[str, Any]:
        rows = [Row(**values) for values in json.loads(unit["rows"])]
        masks = [self._file("mask", row.mask) for row in rows]
        return {"rows": unit["rows"], "photo": self._file("photo", rows[0].photo), "masks": masks}

    def _file(self, what: str, path: str) -> bytes:
        try:
            return read_file(what, path, self.folder) if path else b""
        except ValueError:
            return b""


def _here() -> Any:
    """To run on this machine, which sees the photos."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
