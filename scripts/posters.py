"""Pictures for pages: sheets, a wipe from photo to edit, the dial of strengths."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

GAP, LINE = 10, 20
INK, PAPER, LIGHT, ACCENT = (36, 41, 47), (255, 255, 255), (205, 211, 218), (200, 95, 10)
WIPE, HELD, MILLISECONDS = 10, (1300, 1900), 60  # frames of a wipe; how long photo and edit stay; of a frame


def sheet(rows: Sequence[Sequence[tuple[str, Image.Image]]], titles: Sequence[str], panel: int = 192) -> Image.Image:
    """Rows of labelled pictures under their titles, two rows side by side if there are as many."""
    font = ImageFont.load_default(size=13)
    width, height = max(map(len, rows)) * (panel + 4) + 2 * GAP, 2 * LINE + panel + GAP
    page = Image.new("RGB", (min(2, len(rows)) * width, GAP + height * -(-len(rows) // 2)), PAPER)
    pen = ImageDraw.Draw(page)
    for number, (row, title) in enumerate(zip(rows, titles, strict=True)):
        left, top = GAP + width * (number % 2), GAP + height * (number // 2)
        pen.text((left, top), title, INK, font)
        for column, (label, picture) in enumerate(row):
            place = left + column * (panel + 4), top + LINE
            page.paste(_scaled(picture, panel), place)
            pen.text((place[0], top + LINE + panel + 2), label, ACCENT, font)
    return page


def wipe(
    scenes: Sequence[tuple[str, Image.Image, Image.Image]], columns: int = 3, panel: int = 192
) -> list[Image.Image]:
    """Frames of one palette in which a line goes over each photo and leaves the edit behind, and back.

    Args:
        scenes: the sentence, the photo and the edit of each.
    """
    font = ImageFont.load_default(size=12)
    width, height = panel + GAP, panel + 2 * LINE + GAP
    blank = Image.new("RGB", (GAP + width * columns, GAP + height * -(-len(scenes) // columns)), PAPER)
    places = [(GAP + width * (number % columns), GAP + height * (number // columns)) for number in range(len(scenes))]
    photos, edits = blank, blank.copy()
    for (left, top), (sentence, photo, edited) in zip(places, scenes, strict=True):
        for page, picture in ((photos, photo), (edits, edited)):
            page.paste(_scaled(picture, panel), (left, top))
            ImageDraw.Draw(page).text((left, top + panel + 4), textwrap.fill(sentence, 33), INK, font)
    # Dithered once each, so that nothing flickers while the line moves.
    photos, edits = _of_one_palette(photos, edits)
    paper = photos.getpixel((0, 0))

    def frame(share: float) -> Image.Image:
        page, edge = photos.copy(), round(share * panel)
        for left, top in places:
            page.paste(edits.crop((left, top, left + edge, top + panel)), (left, top))
            if 0 < edge < panel:
                page.paste(paper, (left + edge - 1, top, left + edge + 1, top + panel))
        return page

    shares = [step / WIPE for step in range(WIPE + 1)]
    return [frame(share) for share in (*shares, *shares[-2:0:-1])]


def save_animation(frames: Sequence[Image.Image], path: Path) -> None:
    """A GIF that runs for ever: the photo stays a while, then the edit does."""
    durations = [MILLISECONDS] * len(frames)
    durations[0], durations[WIPE] = HELD
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)


def dial(panels: Sequence[tuple[float, Image.Image]], sentence: str, default: float, panel: int = 160) -> Image.Image:
    """An edit at several strengths above the dial, its knob at the default."""
    large, small = ImageFont.load_default(size=15), ImageFont.load_default(size=13)
    width = panel + GAP
    page = Image.new("RGB", (GAP + width * len(panels), LINE + panel + 3 * GAP + 3 * LINE), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((GAP, GAP // 2), sentence, INK, large)
    track = LINE + 2 * GAP + panel + 14
    middles = [GAP + width * number + panel // 2 for number in range(len(panels))]
    pen.line((middles[0], track, middles[-1], track), LIGHT, 6)
    for middle, (strength, picture) in zip(middles, panels, strict=True):
        page.paste(_scaled(picture, panel), (middle - panel // 2, LINE + GAP))
        chosen = strength == default
        radius = 9 if chosen else 4
        pen.ellipse((middle - radius, track - radius, middle + radius, track + radius), ACCENT if chosen else LIGHT)
        pen.text((middle, track + 14), f"strength {strength:g}", INK, small, anchor="ma")
        what = {0: "the photo, nearly as it was", default: "the default"}.get(strength)
        if what:
            pen.text((middle, track + 32), what, ACCENT if chosen else INK, small, anchor="ma")
    return page


def _of_one_palette(*pages: Image.Image) -> list[Image.Image]:
    """Pages of one size in the 256 colours that suit all of them."""
    both = Image.new("RGB", (pages[0].width, sum(page.height for page in pages)))
    for number, page in enumerate(pages):
        both.paste(page, (0, number * page.height))
    palette = both.quantize(256, Image.Quantize.MEDIANCUT, kmeans=4)
    return [page.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for page in pages]


def _scaled(picture: Image.Image, size: int) -> Image.Image:
    return picture.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
