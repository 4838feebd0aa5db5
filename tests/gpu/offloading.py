"""The host's ways to fit a model on a card: python -m tests.gpu.offloading MODE. The demo's workflow, start to end."""

import json
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import requests

from scripts import hosts
from scripts.client import Client
from scripts.server import Server

MODES = ("--highvram", "--normalvram", "--lowvram", "--novram")
EXAMPLES = hosts.ROOT / "example_workflows"


def measure(mode: str) -> dict[str, float]:
    """Seconds of the demo's workflow, and MiB that the host then holds of the card beyond what it held before."""
    graph = json.loads((EXAMPLES / "api" / "imagic_demo.json").read_text(encoding="utf-8"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(hosts.find(), folder, cpu=False, arguments=(mode,)))
        client = stack.enter_context(Client(server.address))
        shutil.copy(EXAMPLES / "imagic_demo_photo.png", server.home / "input")
        before, start = _used(server.address), time.perf_counter()
        client.run(graph)
        seconds = time.perf_counter() - start
        return {"seconds": round(seconds, 1), "mib": (_used(server.address) - before) >> 20}


def _used(address: str) -> int:
    device = requests.get(f"{address}/system_stats", timeout=30).json()["devices"][0]
    return device["vram_total"] - device["vram_free"]


if __name__ == "__main__":
    print("\n" + json.dumps(measure(sys.argv[1])))
