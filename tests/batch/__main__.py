"""500 rows with 5 % bad ones on every engine, workers and whole runs killed; writes tests/batch.json.

    python -m tests.batch                      all of it; half an hour on two quiet cores
    python -m tests.batch local ray overhead   parts; what is known of others stays

Needs ray, and a ComfyUI, see `scripts.hosts`. Pictures of 64 px, one step, no training: what is tested is the batch.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from scripts import hosts
from scripts.server import Server

from . import overhead, world
from .running import Batch, digests, done, rows, twice

FILE = hosts.ROOT / "tests" / "batch.json"
WORK = hosts.ROOT / "build" / "batch"
ROWS, BAD = 500, 0.05
TWO = ("--workers", "2")


def good_and_bad() -> tuple[Path, set[str]]:
    """The manifest, and the pictures that must come of it."""
    manifest = world.make(WORK / "photos", ROWS, BAD, per_photo=4)
    every, half = round(1 / BAD), round(1 / BAD) // 2
    return manifest, {f"{number}.png" for number in range(ROWS) if number % every != half}


def emptied(output: Path) -> Path:
    """A folder of pictures without those of a run before, which would count as done."""
    shutil.rmtree(output, ignore_errors=True)
    return output


def reference() -> dict:
    """One worker, not disturbed: the bytes that all others must give, and whether memory stays flat."""
    manifest, expected = good_and_bad()
    output = emptied(WORK / "reference")
    batch = Batch(manifest, output, *world.QUICK)
    batch.wait_for(50)
    early, start = batch.memory(), time.monotonic()
    batch.wait_for(len(expected) - 5)
    late = batch.memory()
    assert batch.finish() == 3, batch.log.read_text()
    assert set(done(output)) == expected
    return {
        "rows": ROWS,
        "bad_rows": len({row["number"] for row in rows(output) if row["status"] == "failed"}),
        "mib_after_50_rows": early >> 20,
        "mib_at_the_end": late >> 20,
        "seconds_a_row": round((time.monotonic() - start) / (len(expected) - 55), 3),
    }


def disturbed(name: str, kind: str, arguments: tuple[str, ...], kill_one: Callable[[Batch], object]) -> dict:
    """A worker is killed after a third, all of it after two thirds, and then it goes on."""
    manifest, expected = good_and_bad()
    output = emptied(WORK / name)
    batch = Batch(manifest, output, *arguments)
    batch.wait_for(ROWS // 3)
    kill_one(batch)
    batch.wait_for(2 * ROWS // 3)
    batch.kill()
    before = len(done(output))
    assert ROWS // 3 < before < len(expected), batch.log.read_text()
    again = Batch(manifest, output, *arguments)
    assert again.finish() == 3, again.log.read_text()
    failed = {row["number"] for row in rows(output) if row["status"] == "failed"}
    return {
        "bad_rows": len(failed),
        "lost_rows": ROWS - len(set(done(output))) - len(failed),
        "twice": twice(output),
        "done_when_all_was_killed": before,
        "workers_killed": 1,
        "unfinished_files": len(list(output.rglob(".imagic-*.unfinished"))),
        "pictures": len(digests(output)),
    }


def local() -> dict:
    found = disturbed("local", "local", (*world.QUICK, *TWO), lambda batch: batch.kill_worker("local"))
    return found | {"bytes_equal": digests(WORK / "local") == digests(WORK / "reference")}


def ray() -> dict:
    arguments = (*world.QUICK, *TWO, "--engine", "ray")
    found = disturbed("ray", "ray", arguments, lambda batch: batch.kill_worker("ray"))
    return found | {"bytes_equal": digests(WORK / "ray") == digests(WORK / "reference")}


def comfyui() -> dict:
    """Two servers, one of them killed. One alone then gives a tenth of the rows again, to compare the bytes."""
    host, graph = hosts.find(), world.workflow(WORK / "workflow.json")
    with ExitStack() as stack:
        first, second = (stack.enter_context(Server(host, WORK / name, cpu=True)) for name in ("first", "second"))
        rules = ("--engine", "comfyui", "--workflow", str(graph), *world.RULES)
        both = (*rules, "--servers", f"{first.address},{second.address}")
        found = disturbed("comfyui", "comfyui", both, lambda _: first._process.kill())
        small = world.make(WORK / "photos", ROWS // 10, BAD, per_photo=4)
        alone = Batch(small, emptied(WORK / "comfyui-alone"), *rules, "--servers", second.address)
        assert alone.finish() == 3, alone.log.read_text()
    expected, pictures = digests(WORK / "comfyui-alone"), digests(WORK / "comfyui")
    return found | {"bytes_equal": all(pictures[name] == digest for name, digest in expected.items())}


def scaling() -> dict:
    """How many rows two local workers do in the time of one, once both have begun; cores permitting."""
    manifest, seconds = world.make(WORK / "many", 200), {}
    for workers in (1, 2):
        batch = Batch(manifest, WORK / f"workers-{workers}-{time.time_ns()}", *world.QUICK, "--workers", str(workers))
        batch.wait_for(40)
        first, start = len(done(batch.output)), time.monotonic()
        batch.wait_for(190)
        seconds[workers] = (time.monotonic() - start) / (len(done(batch.output)) - first)
        assert batch.finish() == 0, batch.log.read_text()
    return {
        "seconds_a_row": {str(workers): round(value, 4) for workers, value in seconds.items()},
        "times_with_two": round(seconds[1] / seconds[2], 2),
        "cores": os.cpu_count(),
    }


ENGINES = {"local": local, "ray": ray, "comfyui": comfyui}
PARTS = {
    "reference": reference,
    **ENGINES,
    "scaling": scaling,
    "overhead": overhead.measure,
}


def summary(parts: dict[str, dict]) -> dict:
    """The figures on top, of all that were run."""
    engines = [parts[name] for name in ENGINES if name in parts]
    return {
        "overhead": {name: parts["overhead"][name]["ratio"] for name in ENGINES} if "overhead" in parts else {},
        "rows": parts.get("reference", {}).get("rows", 0),
        "bad_rows": max((part["bad_rows"] for part in engines), default=0),
        **{name: sum(part[name] for part in engines) for name in ("lost_rows", "twice")},
        "resumed_bytes_equal": bool(engines) and all(part["bytes_equal"] for part in engines),
        "workers_killed": sum(part["workers_killed"] for part in engines),
    }


def main() -> None:
    known = json.loads(FILE.read_text(encoding="utf-8"))["parts"] if FILE.exists() else {}
    for name in sys.argv[1:] or PARTS:
        start = time.monotonic()
        print(f"{name} ...", flush=True)
        known[name] = PARTS[name]() | {"took_seconds": round(time.monotonic() - start)}
        print(json.dumps(known[name]), flush=True)
        FILE.write_text(json.dumps(summary(known) | {"parts": known}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
