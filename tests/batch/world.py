"""A manifest of small made-up photos, quick to edit: with masks, captions and, if wanted, rows that are bad."""

import csv
import json
import random
import sys
from pathlib import Path

from PIL import Image

from imagic.batch.manifest import COLUMNS
from scripts import hosts

SIDE = 64  # pixels: the demo model takes any multiple of 8
# What is wrong with a bad row, by column.
BAD = (
    {"photo": "nowhere.png"},
    {"strength": "much"},
    {"sentence": ""},
    {"output": "../outside.png"},
    {"photo": "text.png"},
)
QUICK = ("--model", "demo", "--instant", "--num-inference-steps", "1", "--threads", "1", "--size", "64")


def make(folder: Path, rows: int, bad: float = 0.0, per_photo: int = 1, mask: bool = True) -> Path:
    """Photos and a manifest of them; one row in 1/bad is bad. The same for the same arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen, every = random.Random(7), round(1 / bad) if bad else 0
    (folder / "text.png").write_text("no picture")
    Image.new("L", (SIDE, SIDE), 255).save(folder / "mask.png")
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number in range(rows):
            photo = folder / f"photo-{number // per_photo}.png"
            if not photo.exists():
                colours = [tuple(chosen.randbytes(3)) for _ in range(16)]
                small = Image.new("RGB", (4, 4))
                small.putdata(colours)
                small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(photo)
            row = {
                "photo": photo.name,
                "sentence": f"a {('blue', 'brown', 'red')[number % 3]} dog wearing a hat",
                "caption": "a dog",
                "mask": "mask.png" if mask else "",
                "seed": number,
                "strength": 1,
                "output": f"{number}.png",
            }
            if every and number % every == every // 2:
                row |= BAD[number // every % len(BAD)]
            writer.writerow(row)
    return path


def command(manifest: Path, output: Path, *arguments: str) -> list[str]:
    """The command line of a batch, in a process of its own."""
    return [sys.executable, "-m", "imagic", "batch", str(manifest), str(output), *arguments]


def workflow(path: Path) -> Path:
    """A workflow of the demo model in API format: a photo drawn anew, in one step."""
    nodes = {
        "1": ("LoadImage", {"image": "photo.png"}),
        "2": ("ImagicDemoCheckpoint", {}),
        "3": ("VAEEncode", {"pixels": ["1", 0], "vae": ["2", 2]}),
        "4": ("CLIPTextEncode", {"clip": ["2", 1], "text": "a dog"}),
        "5": ("CLIPTextEncode", {"clip": ["2", 1], "text": ""}),
        "6": (
            "KSampler",
            {
                "model": ["2", 0],
                "positive": ["4", 0],
                "negative": ["5", 0],
                "latent_image": ["3", 0],
                "seed": 0,
                "steps": 2,
                "cfg": 4.0,
                "sampler_name": "ddim",
                "scheduler": "normal",
                "denoise": 0.6,
            },
        ),
        "7": ("VAEDecode", {"samples": ["6", 0], "vae": ["2", 2]}),
        "8": ("SaveImage", {"images": ["7", 0], "filename_prefix": "edit"}),
    }
    titles = {"4": "What the photo shows"}
    graph = {
        key: {"class_type": kind, "inputs": inputs, "_meta": {"title": titles.get(key, kind)}}
        for key, (kind, inputs) in nodes.items()
    }
    path.write_text(json.dumps(graph), encoding="utf-8")
    return path


RULES = ("--set", "sentence=What the photo shows.text", "--set", "seed=6.seed")
ENVIRONMENT = {"PYTHONPATH": str(hosts.ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
