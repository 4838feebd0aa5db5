"""The trade-off curve and the contact sheets."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from demo.scenes import SIZE

from .judge import Judged
from .methods import CEILING, Method
from .metrics import Figures
from .pairs import KINDS
from .results import Rows

SHEET_PAIRS, WORST_PAIRS = 7, 3  # of a kind: the first ones, and the first method's worst ones
_GAP, _LINE = 6, 18
_INK, _PAPER = (30, 30, 30), (255, 255, 255)
_COMPLETE, _SUCCESS, _NEITHER = (40, 160, 70), (235, 170, 30), (205, 60, 50)


def trade_off(results: dict, model: str, known: dict[str, Method], path: Path) -> None:
    """Alignment against fidelity, one curve a method, a point each setting; the reported one is filled."""
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    for name, points in results["curves"][model].items():
        points = [point for point in points if point["fidelity_db"] is not None]
        x, y = [point["fidelity_db"] for point in points], [point["alignment"] for point in points]
        ordered = all(_is_number(point["setting"]) for point in points)
        (line,) = axes.plot(x, y, "o-" if ordered else "s", label=known[name].title, markerfacecolor="white")
        for point in points:
            at = (point["fidelity_db"], point["alignment"])
            axes.annotate(point["setting"], at, xytext=(4, 4), textcoords="offset points", fontsize=7)
            if point["setting"] == results["summary"][model][name]["setting"]:
                axes.plot(*at, line.get_marker(), color=line.get_color(), markersize=9)
    if CEILING in results["summary"][model]:
        ceiling = results["summary"][model][CEILING]["untouched_psnr"]
        axes.axvline(ceiling, linestyle=":", color="gray", label="what the autoencoder allows (median)")
    axes.set_xlabel("fidelity: PSNR of the region the edit leaves alone, dB (mean)")
    axes.set_ylabel("alignment: probability of the target attribute (mean)")
    axes.set_title("The edit against the rest of the picture, over each method's dial")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def contact_sheets(judged: Rows, results: dict, model: str, known: dict[str, Method], folder: Path, group: str) -> None:
    """One picture a kind: a row a pair, a column a method, each picture framed by how it counts.

    The first pairs are a fair sample; below them are those in which the least of the first method's change is there.
    """
    names = [name for name in results["summary"][model] if name != CEILING and (name, group) in judged]
    dials = {name: results["summary"][model][name]["setting"] for name in names}
    font = ImageFont.load_default(size=11)
    for kind in KINDS:
        rows = {name: {row.index: row for row in judged[name, group] if row.pair.edit.kind == kind} for name in names}
        fair = sorted(set().union(*rows.values()))[:SHEET_PAIRS]
        if not fair:
            continue
        worst = _worst(rows[names[0]], dials[names[0]])
        indices = [*fair, *worst]
        head = ["source", "true edit", *(f"{known[name].title}, {dials[name]}" for name in names)]
        cell, tall = SIZE + 2 * _GAP, SIZE + 2 * _LINE + 2 * _GAP
        sheet = Image.new("RGB", (len(head) * cell, 2 * _LINE + len(indices) * tall), _PAPER)
        draw = ImageDraw.Draw(sheet)
        for column, title in enumerate(head):
            draw.multiline_text((column * cell + _GAP, 2), _wrapped(title, font), _INK, font, spacing=1)
        for line, index in enumerate(indices):
            top = 2 * _LINE + line * tall
            found = {name: rows[name][index] for name in names if index in rows[name]}
            edit = next(iter(found.values())).pair
            place = f"WORST {line - len(fair) + 1} of {known[names[0]].title}: " if line >= len(fair) else ""
            draw.text((_GAP, top), f"{place}{edit.edit.source_caption}  ->  {edit.edit.target_caption}", _INK, font)
            for column, picture in enumerate((edit.source, edit.truth)):
                sheet.paste(Image.fromarray(picture), (column * cell + _GAP, top + _LINE))
            for column, name in enumerate(names, 2):
                if name in found:
                    corner = (column * cell + _GAP, top + _LINE)
                    _paste_framed(sheet, draw, found[name], dials[name], corner)
                    draw.text((corner[0], corner[1] + SIZE + 3), _said(found[name].figures[dials[name]]), _INK, font)
        sheet.save(folder / f"sheet-{model}-{kind}.jpg", quality=88)


def _said(figures: Figures) -> str:
    identity = figures.identity_share
    return f"change {figures.changed_share:.2f}" + ("" if identity is None else f", subject {identity:.2f}")


def _worst(rows: dict[int, Judged], dial: str) -> list[int]:
    """The indices of the edits of which the least is there, the worst first."""
    return sorted(rows, key=lambda index: rows[index].figures[dial].changed_share)[:WORST_PAIRS]


def _paste_framed(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, row: Judged, dial: str, corner: tuple[int, int]
) -> None:
    x, y = corner
    figures = row.figures[dial]
    colour = _COMPLETE if figures.complete else _SUCCESS if figures.success else _NEITHER
    draw.rectangle((x - 3, y - 3, x + SIZE + 2, y + SIZE + 2), fill=colour)
    sheet.paste(Image.fromarray(np.ascontiguousarray(row.pictures[dial])), corner)


def _wrapped(title: str, font: ImageFont.FreeTypeFont) -> str:
    """The title on as many lines as a column's width needs."""
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > SIZE and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
