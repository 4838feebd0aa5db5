"""PIE-Bench (Direct Inversion, arXiv 2310.01506): 700 pictures of 512 px with masks, ten kinds of edits.

Layout, as its authors hand it out: mapping_file.json, {"id": {"image_path", "original_prompt", "editing_prompt",
"editing_type_id", "mask"}}; annotation_images/IMAGE_PATH. Words that differ are in [brackets]. A mask lists starts and
lengths of runs of 1, where the edit belongs, row after row.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .pairs import NotABenchmark, Pair, existing, read_json

HINT = "give --data the folder with mapping_file.json and annotation_images, as PIE-Bench comes."
SIDE = 512  # pixels: what masks are of
KINDS = (
    *("random", "change object", "add object", "delete object", "change content", "change pose"),
    *("change colour", "change material", "change background", "change style"),
)


def read(folder: Path) -> list[Pair]:
    """The pairs.

    Raises:
        NotABenchmark: it is laid out otherwise.
    """
    if (folder / "data").is_dir():
        folder = folder / "data"
    entries = read_json(folder / "mapping_file.json", HINT)
    try:
        pairs = [
            Pair(
                name=name,
                photo=existing(folder / "annotation_images" / entry["image_path"], HINT),
                target=_plain(entry["editing_prompt"]),
                caption=_plain(entry["original_prompt"]),
                kind=KINDS[int(entry["editing_type_id"])],
                mask=Image.fromarray((255 * mask(entry["mask"])).astype(np.uint8)),
            )
            for name, entry in entries.items()
        ]
    except (TypeError, KeyError, AttributeError, ValueError, IndexError) as error:
        if isinstance(error, NotABenchmark):
            raise
        raise NotABenchmark(f"{folder / 'mapping_file.json'} is of another layout ({error!r}): {HINT}") from None
    if not pairs:
        raise NotABenchmark(f"{folder / 'mapping_file.json'} has no pairs: {HINT}")
    return pairs


def mask(runs: Sequence[int], side: int = SIDE) -> np.ndarray:
    """A mask, bool [side, side], from starts and lengths of its runs. The picture's rim counts as part of it, as in
    the authors' evaluation, since annotations stop short of it."""
    if len(runs) % 2:
        raise ValueError("a mask of an odd number of numbers")
    flat = np.zeros(side * side, bool)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        flat[start : start + length] = True
    found = flat.reshape(side, side)
    found[[0, -1]] = found[:, [0, -1]] = True
    return found


def _plain(prompt: str) -> str:
    """Without the brackets around what differs."""
    return " ".join(prompt.replace("[", " ").replace("]", " ").split())
