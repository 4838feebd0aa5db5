"""Lays labelled pictures out in a grid."""

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, WINNER = (255, 255, 255), (30, 30, 30), (30, 150, 70)


@dataclass
class Cell:
    label: str
    picture: Image.Image
    framed: bool = False


def contact_sheet(rows: list[list[Cell | None]], size: int) -> Image.Image:
    """A grid of pictures under their labels; None leaves a place empty.

    Args:
        rows: from top to bottom, each from left to right; rows may differ in length.
        size: of the longer side of a picture, in pixels. All cells are as large as the first picture then is.
    """
    cells = [cell for row in rows for cell in row if cell]
    longest = max(cells[0].picture.size)
    width, height = (max(1, round(side * size / longest)) for side in cells[0].picture.size)
    gap = max(8, size // 24)
    font, line = _font([cell.label for cell in cells], width, size)
    columns = max(map(len, rows))
    sheet = Image.new("RGB", (gap + columns * (width + gap), gap + len(rows) * (line + height + gap)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row_number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if cell is None:
                continue
            left, top = gap + column * (width + gap), gap + row_number * (line + height + gap)
            draw.text((left, top), cell.label, WINNER if cell.framed else INK, font)
            picture = cell.picture
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left, top + line))
            if cell.framed:
                thick = gap // 2
                frame = (left - thick, top + line - thick, left + width + thick - 1, top + line + height + thick - 1)
                draw.rectangle(frame, outline=WINNER, width=thick)
    return sheet


def _font(labels: list[str], width: int, size: int) -> tuple[ImageFont.ImageFont, int]:
    """The largest font up to a sensible one in which every label fits over its picture, and the height of a line."""
    for points in range(max(12, size // 14), 7, -1):
        font = ImageFont.load_default(points)
        if max(map(font.getlength, labels)) <= width:
            break
    return font, round(points * 1.6)
