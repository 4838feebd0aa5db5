"""Whether other packs change what this one does: make compat PACKS=folder/of/packs

Starts ComfyUI with this pack alone and with all in the folder, runs the demo's edit in a few steps on each, and
compares the pictures bit by bit. What a pack needs besides ComfyUI's own libraries must be there, in the environment or
on PYTHONPATH: nothing is installed.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from scripts import hosts, workflow
from scripts.client import Client, ClientError
from scripts.server import Server, ServerError

HOME = hosts.ROOT / "build" / "compat"
FAILED = re.compile(r"Cannot import (.*) module for custom nodes: (.*)")
GGUF = "ComfyUI-GGUF"


@dataclass(frozen=True)
class Outcome:
    """What the packs do to the edit."""

    failed: dict[str, str]  # packs that could not be imported, and why
    blamed: list[str]  # packs beside which alone the edit is another one
    same: bool  # whether the edit beside all of them is the one without them


def compare(host: hosts.Host, packs: list[Path], home: Path = HOME) -> Outcome:
    """Edit without the packs, beside all of them, and if that is another edit, beside each."""
    alone, _ = _edit(host, home / "alone", [])
    beside, failed = _edit(host, home / "beside", packs)
    same, blamed = alone == beside, []
    for pack in [] if same else packs:
        if pack.name not in failed and _edit(host, home / "one", [pack])[0] != alone:
            blamed.append(pack.name)
    return Outcome(failed, blamed, same)


def packs_in(folder: Path) -> list[Path]:
    """The packs in a folder that are folders themselves, as nearly all are."""
    return sorted(path for path in folder.iterdir() if (path / "__init__.py").is_file())


def _edit(host: hosts.Host, home: Path, packs: list[Path]) -> tuple[list[bytes], dict[str, str]]:
    """The pixels of the demo's pictures, and what could not be imported."""
    shutil.rmtree(home, ignore_errors=True)
    graph = workflow.load()
    for title in ("A: optimize the embedding", "B: tune the model", "Sample each eta"):
        workflow.inputs(graph, title)["steps"] = 3
    workflow.inputs(graph, "C: from the photo to the target")["sweep"] = "0, 1.2"
    with Server(host, home, cpu=True, packs=tuple(packs)) as server, Client(server.address) as client:
        workflow.inputs(graph, "Photo")["image"] = client.upload_image(workflow.PHOTO)
        outputs = client.run(graph).outputs
        images = [image for node in sorted(outputs) for image in outputs[node].get("images", [])]
        pictures = [Image.open(io.BytesIO(client.view(image))).tobytes() for image in images]
    if not pictures:
        raise ClientError("the demo's edit gave no pictures")
    log = server.log.read_text(encoding="utf-8", errors="replace")
    return pictures, {Path(path).name: reason for path, reason in FAILED.findall(log)}


def _report(packs: list[Path], outcome: Outcome) -> None:
    for pack in packs:
        reason = outcome.failed.get(pack.name)
        print(f"{pack.name:36} {f'not imported: {reason}' if reason else 'imported'}")
    blame = ", ".join(outcome.blamed) or "none of them alone"
    print("The edit is the same to the bit." if outcome.same else f"The edit is another one. By: {blame}.")


def _gguf_trains(folder: Path) -> bool:
    """Whether models train that ComfyUI-GGUF quantized, if it is among the packs."""
    if not (folder / GGUF).is_dir():
        return True
    command = [sys.executable, "-P", "-m", "pytest", "-q", "tests/host/families/test_gguf.py"]
    environment = os.environ | {"IMAGIC_PACKS": str(folder)}
    return subprocess.run(command, cwd=hosts.ROOT, env=environment).returncode == 0


def main() -> None:
    """Compare from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of packs, as ComfyUI's custom_nodes")
    folder = parser.parse_args().folder.expanduser().absolute()
    packs = packs_in(folder) if folder.is_dir() else []
    if not packs:
        sys.exit(f"Error: {folder} holds no packs: give a folder as ComfyUI's custom_nodes.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the host would outlive us
    try:
        host = hosts.find()
        print(f"Host: {host}", flush=True)
        outcome = compare(host, packs)
    except (hosts.HostError, ServerError, ClientError) as error:
        sys.exit(f"Error: {error}")
    _report(packs, outcome)
    trains = _gguf_trains(folder)
    sys.exit(not (outcome.same and trains))


if __name__ == "__main__":
    main()
