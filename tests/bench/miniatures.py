"""Benchmarks of two pairs, laid out as the real ones and made up from nothing of them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def photo(path: Path, side: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(path)


def tedbench(folder: Path) -> Path:
    folder = folder / "tedbench"
    texts = {"dog_1.png": "A photo of a blue dog.", "cat 2.jpeg": "A cat wearing a hat"}
    for seed, (name, text) in enumerate(texts.items()):
        photo(folder / "originals" / name, 64, seed)
        photo(folder / "imagic" / f"{name}-{text.rstrip('.').replace(' ', '_')}.png", 64, seed + 10)
    entries = [{"img_name": name, "target_text": text} for name, text in texts.items()]
    (folder / "input_list.json").write_text(json.dumps(entries))
    return folder


def piebench(folder: Path) -> Path:
    """The first with a mask of one block, the second with one of everything, as for a style."""
    block = [number for row in range(100, 200) for number in (512 * row + 50, 30)]
    entries = {}
    for number, (kind, mask) in enumerate(
        (("1_change_object_80/1_artificial", block), ("9_change_style_80", [0, 2**18]))
    ):
        path = f"{kind}/{number}11000000000.jpg"
        photo(folder / "annotation_images" / path, 512, number)
        entries[f"{number}11000000000"] = {
            "image_path": path,
            "original_prompt": "a [brown] dog",
            "editing_prompt": "a [blue] dog",
            "editing_instruction": "make the dog blue",
            "editing_type_id": kind[0],
            "blended_word": "dog dog",
            "mask": mask,
        }
    (folder / "mapping_file.json").write_text(json.dumps(entries))
    return folder
