"""A labelled strip of pictures."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

PANEL = 192
GAP = 8
LINE = 20
INK = (30, 30, 30)
PAPER = (255, 255, 255)


def strip(panels: Sequence[tuple[str, Image.Image]], caption: str) -> Image.Image:
    """Pictures side by side, each under its label, all above one caption.

    Args:
        panels: label and picture, from left to right.
    """
    font = ImageFont.load_default(size=14)
    width = GAP + len(panels) * (PANEL + GAP)
    sheet = Image.new("RGB", (width, LINE + PANEL + LINE + 3 * GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (label, picture) in enumerate(panels):
        left = GAP + number * (PANEL + GAP)
        draw.text((left, GAP), label, INK, font)
        sheet.paste(picture.convert("RGB").resize((PANEL, PANEL), Image.Resampling.LANCZOS), (left, GAP + LINE))
    draw.text((GAP, GAP + LINE + PANEL + GAP), caption, INK, font)
    return sheet
