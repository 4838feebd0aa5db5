"""Processes that are killed while they save: `python -m tests.killed FOLDER COUNT`, on systems that can fork.

Prints how many of them left something behind.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from imagic import edit_file
from imagic.edit import Edit
from imagic.fingerprint import Fingerprint


def edit() -> Edit:
    """An edit of 8 MB, so that a save takes a while."""
    tokens = {"cross_attn": torch.ones(1, 77, 8)}
    return Edit(
        optimized=tokens,
        anchor=tokens,
        update={"a.diff": torch.ones(1024, 2048)},
        preview=torch.zeros(4, 5, 3, dtype=torch.uint8),
        base=Fingerprint("kind", torch.ones(8)),
        about={"base": "model.safetensors"},
    )


def _hidden(folder: Path) -> set[str]:
    return {name for name in os.listdir(folder) if name.startswith(".")}


def main(folder: Path, count: int) -> None:
    choose, saved, left = random.Random(16), edit(), 0
    for number in range(count):
        before = _hidden(folder)
        child = os.fork()
        if not child:
            while True:
                edit_file.save(saved, folder / f"{number}.safetensors")
        while not _hidden(folder) - before:
            time.sleep(0.001)
        time.sleep(choose.uniform(0, 0.03))  # the file is being written, or put in place, or the next one begun
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left += bool(_hidden(folder))
    print(left)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
