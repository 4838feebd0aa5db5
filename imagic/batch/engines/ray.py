"""The Ray engine: Ray Data's `map_batches` with an actor for each GPU, on this machine or on a cluster.

Units go to Ray a window at a time, so that neither this process nor the object store ever holds all rows. A unit is a
block of its own: where an actor is lost, Ray starts another, and only that block is done again.
"""

import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ..editor import Editor, Finished, NoWorker, explain, failed, read_file
from ..manifest import Row
from ..settings import Settings

WINDOW = 1000  # units that Ray is given at a time
RETRIES = 2  # of a unit whose actor was lost


@dataclass(frozen=True)
class Cluster:
    """Where Ray is, and how much of it is to be used."""

    address: str | None = None  # of a cluster's head; None for a Ray of this process's own
    workers: int = 1
    gpus: float = 0  # of each worker; a half lets two share one
    cpus: float = 1
    photos: str = "path"  # "store": read here and sent, for workers that do not see this disk


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
        RuntimeError: there is no cluster, or the model cannot be loaded.
    """
    with ExitStack() as stack:
        data = _connect(stack, cluster)
        while window := list(islice(units, WINDOW)):
            yield from _window(data, window, _Worker(settings, folder, output), cluster)


def _connect(stack: ExitStack, cluster: Cluster) -> Any:
    """Ray Data, once there is a Ray."""
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
            options |= {"include_dashboard": False, "num_cpus": max(cluster.workers + 1, os.cpu_count() or 1)}
        ray.init(logging_level=logging.ERROR, **options)
        stack.callback(ray.shutdown)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []  # which find fault with a worker for holding a model
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.max_errored_blocks = -1  # a unit that is given up must not end the run
    return ray.data


@dataclass
class _Worker:
    """What an actor needs to begin."""

    settings: Settings
    folder: Path
    output: Path


class _Actor:
    """Holds the model, and edits the units that come."""

    def __init__(self, worker: _Worker):
        try:
            self.editor = Editor(worker.settings, worker.folder, worker.output)
        except Exception as error:  # told by the first unit: Ray would start it again and again
            self.editor = NoWorker(explain(error))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if isinstance(self.editor, NoWorker):
            return {"finished": [pickle.dumps(self.editor)]}
        done = []
        for unit in batch["unit"]:
            for row, photo, mask in pickle.loads(unit):
                done.append(pickle.dumps(self.editor.edit(row, photo, mask)))
        return {"finished": done}


class _Reader:
    """Reads photos and masks where the run was started."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        rows = [
            (row, self._read("photo", row.photo), self._read("mask", row.mask))
            for row, *_ in pickle.loads(item["unit"])
        ]
        return {"unit": pickle.dumps(rows)}

    def _read(self, what: str, path: str) -> bytes | None:
        """None where there is none: the worker then says so."""
        try:
            return read_file(what, path, self.folder) if path else None
        except ValueError:
            return None


def _window(data: Any, window: list[list[Row]], worker: _Worker, cluster: Cluster) -> Iterator[Finished]:
    left = {row.number: row for unit in window for row in unit}
    items = [{"unit": pickle.dumps([(row, None, None) for row in unit])} for unit in window]
    dataset = data.from_items(items, override_num_blocks=len(items))
    if cluster.photos == "store":
        dataset = dataset.map(_Reader(worker.folder).__call__, concurrency=1, num_cpus=0.1, scheduling_strategy=_here())
    dataset = dataset.map_batches(
        _Actor,
        fn_constructor_args=(worker,),
        batch_size=1,
        compute=data.ActorPoolStrategy(size=cluster.workers, max_tasks_in_flight_per_actor=2),
        num_gpus=cluster.gpus or None,
        num_cpus=cluster.cpus,
        max_restarts=-1,
        max_task_retries=RETRIES,
    )
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for content in batch["finished"].to_pylist():
            finished = pickle.loads(content)
            if isinstance(finished, NoWorker):
                raise finished
            left.pop(finished.result.number)
            yield finished
    for row in left.values():
        yield failed(row, f"Its worker was lost {RETRIES + 1} times: try it by itself.")


def _here() -> Any:
    """To run on this machine, which sees the photos."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
