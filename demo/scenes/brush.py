"""Shapes on a picture, placed in whichever units suit what is being drawn."""

import math

from PIL import Image, ImageDraw

Point = tuple[float, float]
_ROUND = [(math.cos(a), math.sin(a)) for a in (2 * math.pi * i / 28 for i in range(28))]


def scaled(colour, factor: float = 1.0, tint=(0, 0, 0)) -> tuple[int, int, int]:
    """`colour` times `factor` plus `tint`, kept within 8 bits."""
    return tuple(round(min(255, max(0, c * factor + t))) for c, t in zip(colour, tint, strict=True))


class Brush:
    """Draws in units of `unit` pixels from an origin in pixels, y downwards; `facing` -1 mirrors left and right."""

    def __init__(self, image: Image.Image, origin: Point, unit: float, facing: int = 1):
        self._draw = ImageDraw.Draw(image)
        self._origin, self._unit, self._facing = origin, unit, facing

    def _pixel(self, point: Point) -> Point:
        return (
            self._origin[0] + self._facing * self._unit * point[0],
            self._origin[1] + self._unit * point[1],
        )

    def polygon(self, points: list[Point], colour) -> None:
        self._draw.polygon([self._pixel(p) for p in points], fill=colour)

    def ellipse(self, centre: Point, radii: Point, colour, turn: float = 0.0) -> None:
        """`turn` in radians, clockwise for an animal that faces right."""
        (x, y), (rx, ry), c, s = centre, radii, math.cos(turn), math.sin(turn)
        outline = [(x + rx * u * c - ry * v * s, y + rx * u * s + ry * v * c) for u, v in _ROUND]
        self.polygon(outline, colour)

    def stroke(self, points: list[Point], width: float, colour) -> None:
        """A line with round joints and ends."""
        self._draw.line([self._pixel(p) for p in points], fill=colour, width=max(1, round(width * self._unit)))
        for point in points:
            self.ellipse(point, (width / 2, width / 2), colour)
