"""TEdBench (Imagic, arXiv 2210.09276, Sec. 4.2): 100 pairs of 40 photos, beside the paper's own pictures.

Layout, as in the repository imagic-editing/imagic-editing.github.io: tedbench/input_list.json, a list of
{"img_name", "target_text"}; tedbench/originals/IMG_NAME; tedbench/imagic/IMG_NAME-Target_text.png.
"""

from collections.abc import Mapping
from pathlib import Path

from .pairs import NotABenchmark, Pair, existing, read_json

CAPTIONS = 'give --captions a file of {"dog.jpg": "a brown dog", ...}.'
HINT = "give --data the folder tedbench of the repository imagic-editing/imagic-editing.github.io."


def read(folder: Path, captions: Mapping[str, str] = {}) -> list[Pair]:
    """The pairs.

    Args:
        folder: tedbench, or the one around it.
        captions: what each photo shows, by its name. TEdBench has none.

    Raises:
        NotABenchmark: it is laid out otherwise.
    """
    if (folder / "tedbench").is_dir():
        folder = folder / "tedbench"
    entries = read_json(folder / "input_list.json", HINT)
    try:
        texts = [(entry["img_name"], entry["target_text"]) for entry in entries]
        usable = texts and all(isinstance(text, str) for pair in texts for text in pair)
    except (TypeError, KeyError):
        usable = False
    if not usable:
        raise NotABenchmark(f"{folder / 'input_list.json'} is no list of img_name and target_text: {HINT}")
    pairs = []
    for number, (image, text) in enumerate(texts):
        published = folder / "imagic" / f"{image}-{text.strip().rstrip('.').replace(' ', '_')}.png"
        pairs.append(
            Pair(
                name=f"{number:03d}",
                photo=existing(folder / "originals" / image, HINT),
                target=text,
                caption=captions.get(image, ""),
                published=published if published.is_file() else None,
            )
        )
    return pairs


def read_captions(path: Path) -> dict[str, str]:
    """What photos show, by their names. Raises NotABenchmark where the file is not there or no such thing."""
    captions = read_json(path, CAPTIONS)
    if not isinstance(captions, dict) or not all(isinstance(text, str) for text in captions.values()):
        raise NotABenchmark(f"{path} does not say in a text what each photo shows: {CAPTIONS}")
    return captions
