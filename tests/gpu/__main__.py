"""Precision, memory and time on a GPU: make test-gpu. Writes tests/benchmarks/gpu.json and the table in docs/memory.md.

    make test-gpu                              an hour on a card of 24 GB
    python -m tests.gpu --models sd15 --pixels 512     a quick look

What does not fit is written down as such. Without a GPU nothing is measured.
"""

import argparse
import json
import subprocess
import sys
from itertools import product

import torch

from scripts import hosts

from . import models, numerics, stages

FILE = hosts.ROOT / "tests" / "benchmarks" / "gpu.json"
PAGE = hosts.ROOT / "docs" / "memory.md"
BEGIN, END = "<!-- gpu: begin -->", "<!-- gpu: end -->"
PIXELS = 512, 768, 1024
TRAINERS = "host_lora", "train_lora"  # see `tests.benchmarks.measurements`


def ask(*command: str) -> dict:
    """What a measurement printed last, with why it "ended" if it did so early, or {"reason": ...}.

    Each runs in a process of its own: its memory is its own.
    """
    print(" ".join(command[1:]), "...", flush=True)
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=hosts.ROOT)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")][-1:]
    if found and not done.returncode:
        return found[0]
    last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
    reason = "it does not fit" if "out of memory" in done.stderr else " ".join(last)
    return found[0] | {"ended": reason} if found else {"reason": reason}


def table(found: dict) -> str:
    """Memory and seconds of a default edit, in Markdown."""
    lines = [
        f"Measured on one {found['device']} in bfloat16 with random weights, without text encoder and autoencoder: "
        "peak of memory and milliseconds a step (A and B: two noisy latents; sampling: an edit and the photo). "
        "Of an edit with its defaults: peak and seconds.\n",
        "| model | pixels | A | B | B, checkpointed | sampling | edit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, sizes in found["stages"].items():
        for pixels, each in sizes.items():
            cells = [_cell(each if "reason" in each else each.get(stage, {"reason": "–"})) for stage in stages.STAGES]
            lines.append(f"| {models.NAMES[name]} | {pixels} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(figures: dict) -> str:
    if "reason" in figures:
        return figures["reason"]
    duration = f"{figures['seconds']:.1f} s" if "seconds" in figures else f"{1000 * figures['seconds_a_step']:.0f} ms"
    return f"{figures['peak_mib'] / 1024:.1f} GiB, {duration}"


def put_into(page: str, text: str) -> str:
    """The page with the table between its two marks; as it is where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}{END}{after}" if begin and end else page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=list(models.NAMES), default=["sd15", "sdxl", "flux"])
    parser.add_argument("--pixels", nargs="+", type=int, default=list(PIXELS))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("No GPU is here: nothing was measured.")
        return
    found: dict = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "stages": {}}

    def keep() -> None:
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    found["numerics"] = {name: ask("tests.gpu.numerics", name) for name in numerics.PRECISIONS}
    keep()
    for name, pixels in product(options.models, options.pixels):
        measured = ask("tests.gpu.stages", name, str(pixels), "bfloat16")
        found["stages"].setdefault(name, {})[str(pixels)] = measured
        keep()
    found["modes"] = ask("tests.gpu.offloading")
    found["trainers"] = {name: ask("tests.benchmarks.measurements", name, "sd15") for name in TRAINERS}
    keep()
    PAGE.write_text(put_into(PAGE.read_text(encoding="utf-8"), table(found)), encoding="utf-8")
    print(f"{table(found)}\nWritten to {FILE}")


if __name__ == "__main__":
    main()
