"""How much longer an engine takes than a plain loop over the same rows, start included, as a share of 100 edits.

The rows are quick ones, so that what the engine adds is not lost in the noise of long work; it is then set against 100
edits as the pack makes them, tuning and all. Loops and engines take turns, and the shortest time of each counts.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from scripts import hosts
from scripts.client import Client
from scripts.server import Server

from . import world
from .running import Batch

ROWS, ROUNDS = 100, 2
WORK = hosts.ROOT / "build" / "batch-overhead"

PLAIN = """
import csv, sys, torch
from pathlib import Path
from PIL import Image
from imagic.batch import method
from imagic.batch.manifest import Manifest
from imagic.batch.settings import Settings
manifest, output = map(Path, sys.argv[1:])
settings = Settings("demo", instant=True, num_inference_steps=1, threads=1, size=64)
pipeline = method.load(settings)
for row in Manifest(manifest):
    photo, mask = (Image.open(manifest.parent / name) for name in (row.photo, row.mask))
    learned = method.learn(pipeline, photo, row, settings)
    method.draw(learned, row, photo, mask, settings).picture.save(output / row.output)
"""
EDIT = """
import json, time, torch
from PIL import Image
from imagic.batch import method
from imagic.batch.manifest import Row
from imagic.batch.settings import Settings
settings = Settings("demo", threads=1)
pipeline, row = method.load(settings), Row(1, "", "a brown dog wearing a hat")
start = time.perf_counter()
photo = Image.open("demo/photo.png").convert("RGB")
learned = method.learn(pipeline, photo, row, settings)
method.draw(learned, row, photo, None, settings)
print(time.perf_counter() - start)
"""


def measure() -> dict:
    manifest = world.make(WORK / "photos", ROWS)
    graph = world.workflow(WORK / "workflow.json")
    times: dict[str, list[float]] = {}
    with Server(hosts.find(), WORK / "server", cpu=True) as server:
        rules = ("--engine", "comfyui", "--workflow", str(graph), *world.RULES, "--servers", server.address)
        for number in range(ROUNDS):
            folder = WORK / f"round-{number}-{time.time_ns()}"
            (folder / "plain").mkdir(parents=True)
            runs = {
                "edit": lambda: float(_python(EDIT)),
                "plain": lambda: _timed(lambda: _python(PLAIN, str(manifest), str(folder / "plain"))),  # noqa: B023
                "local": lambda: _batch(manifest, folder / "local", *world.QUICK),  # noqa: B023
                "ray": lambda: _batch(manifest, folder / "ray", *world.QUICK, "--engine", "ray"),  # noqa: B023
                "posted": lambda: _timed(lambda: _post(server, manifest, graph)),
                "comfyui": lambda: _batch(manifest, folder / "comfyui", *rules),  # noqa: B023
            }
            for name, run in runs.items():
                times.setdefault(name, []).append(run())
                print(f"{name}: {times[name][-1]:.1f} s", flush=True)
    shortest = {name: min(values) for name, values in times.items()}
    whole = ROWS * shortest["edit"]
    loops = {"local": "plain", "ray": "plain", "comfyui": "posted"}
    return {
        engine: {
            "seconds_more": round(shortest[engine] - shortest[loop], 2),
            "ratio": round((shortest[engine] - shortest[loop]) / whole, 4),
        }
        for engine, loop in loops.items()
    } | {"seconds": {name: [round(value, 2) for value in values] for name, values in times.items()}}


def _timed(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _batch(manifest: Path, output: Path, *arguments: str) -> float:
    def run() -> None:
        batch = Batch(manifest, output, *arguments)
        assert batch.finish() == 0, batch.log.read_text()

    return _timed(run)


def _python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | world.ENVIRONMENT
    return subprocess.run(command, env=environment, cwd=hosts.ROOT, check=True, capture_output=True, text=True).stdout


def _post(server: Server, manifest: Path, graph: Path) -> None:
    """The loop that people write: a prompt after the other, the pictures fetched."""
    from imagic.batch.manifest import Manifest

    prompt = json.loads(graph.read_text(encoding="utf-8"))
    with Client(server.address) as client:
        for row in Manifest(manifest):
            prompt["1"]["inputs"]["image"] = client.upload_image(manifest.parent / row.photo)
            prompt["4"]["inputs"]["text"], prompt["6"]["inputs"]["seed"] = row.sentence, row.seed
            run = client.run(prompt)
            client.view(run.outputs["8"]["images"][0])
