"""RESULTS.md, results.json and contact sheets of a benchmark."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..batch.editor import picture
from ..whole_file import whole
from .metrics import FIGURES
from .pairs import Pair

RESAMPLES, CONFIDENCE = 2000, 0.95
SIDE, ROWS, LINE = 256, 20, 20  # pixels of a picture on a sheet, pairs on a sheet, pixels of a line of text

# Published figures, as far as they are known here from their sources.
PUBLISHED = {
    "piebench": {
        "Direct Inversion + Prompt-to-Prompt (arXiv 2310.01506, Table 1; SD 1.4)": {
            "structure": 11.65,
            "psnr_outside": 27.22,
            "lpips_outside": 54.55,
            "clip": 25.02,
        },
    },
    # The Imagic paper gives curves for TEdBench, no table: its own pictures are measured here instead.
    "tedbench": {},
}
COSTS = {"seconds": ("seconds a picture", 1), "peak_mib": ("peak of GPU memory, MiB", 0)}


def interval(values: Sequence[float], seed: int = 0) -> dict[str, float]:
    """The mean and its 95 % interval by the bootstrap over pairs."""
    values = np.asarray(values, float)
    drawn = np.random.default_rng(seed).choice(values, (RESAMPLES, len(values))).mean(1)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "pairs": len(values)}


def summary(pairs: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Of one method: every figure over the pairs that have it."""
    names = dict.fromkeys(name for figures in pairs.values() for name in figures)
    return {name: interval([figures[name] for figures in pairs.values() if name in figures]) for name in names}


def markdown(
    benchmark: str, about: str, methods: Mapping[str, dict], pictures: Mapping[str, int], notes: Sequence[str]
) -> str:
    """RESULTS.md.

    Args:
        methods: `summary` of each.
        pictures: how many there are of each.
        notes: what could not be run or measured, a sentence each.
    """
    columns = {**{name: (title, digits) for name, (title, _, digits) in FIGURES.items()}, **COSTS}
    columns = {name: told for name, told in columns.items() if any(name in found for found in methods.values())}
    arrows = {name: "↑" if more else "↓" for name, (_, more, _) in FIGURES.items()}
    titles = [f"{title} {arrows.get(name, '')}".strip() for name, (title, _) in columns.items()]
    lines = [f"# {benchmark}\n", about, "", f"| {' | '.join(['method', 'pairs', *titles])} |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for method, found in methods.items():
        cells = []
        for name, (_, digits) in columns.items():
            figure = found.get(name)
            cells.append(
                f"{figure['mean']:.{digits}f} ({figure['low']:.{digits}f} – {figure['high']:.{digits}f})"
                if figure
                else "–"
            )
        lines.append(f"| {' | '.join([method, str(pictures[method]), *cells])} |")
    for source, figures in PUBLISHED[benchmark].items():
        cells = [f"{figures[name]:.2f}" if name in figures else "–" for name in columns]
        lines.append(f"| {' | '.join([f'published: {source}', '700', *cells])} |")
    lines += [
        "",
        "In brackets: 95 % intervals by the bootstrap over the pairs that have the figure.",
        "",
        *(f"- {note}" for note in notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def write(folder: Path, text: str, content: dict) -> None:
    """RESULTS.md and results.json, each whole. Raises NotWritten where the disk does not take them."""
    with whole(folder / "results.json") as unfinished:
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    with whole(folder / "RESULTS.md") as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def sheets(folder: Path, pairs: Sequence[Pair], columns: Mapping[str, Mapping[str, Path]]) -> None:
    """sheet-1.jpg and so on: the photo and each method's picture, and the target below. Of what cannot be read, the
    place stays empty.

    Args:
        columns: for each method, its pictures by the pairs' names.
    """
    names = ["photo", *columns]
    for number, start in enumerate(range(0, len(pairs), ROWS), 1):
        part = pairs[start : start + ROWS]
        sheet = Image.new("RGB", (SIDE * len(names), (SIDE + LINE) * len(part) + LINE), "white")
        draw = ImageDraw.Draw(sheet)
        draw.font = ImageFont.load_default(14)
        for column, name in enumerate(names):
            draw.text((SIDE * column + 4, 2), name, "black")
        for row, pair in enumerate(part):
            top = LINE + row * (SIDE + LINE)
            for column, path in enumerate([pair.photo, *(found.get(pair.name) for found in columns.values())]):
                if path is None or (small := _small(path)) is None:
                    continue
                sheet.paste(small, (SIDE * column, top))
            draw.text((4, top + SIDE + 1), pair.target[:120], "black")
        with whole(folder / f"sheet-{number}.jpg") as unfinished:
            sheet.save(unfinished, "JPEG", quality=88)


def _small(path: Path) -> Image.Image | None:
    """A picture of a sheet's size; None where it cannot be read, which the table of its method tells.

    A small one is enlarged by a whole factor, each pixel as it is: nothing is drawn that no method has drawn.
    """
    try:
        small = picture("picture", str(path.absolute()), Path())
    except ValueError:
        return None
    small.thumbnail((SIDE, SIDE))
    factor = max(1, SIDE // max(small.size))
    return small.resize((factor * small.width, factor * small.height), Image.Resampling.NEAREST)
