"""Four animals, drawn in units of their own size with the origin between their feet; y grows downwards."""

import math

from demo.scenes.attributes import Attributes
from demo.scenes.backgrounds import GROUND
from demo.scenes.brush import Brush, Point, scaled
from demo.scenes.nuisance import Colour, Nuisance
from demo.scenes.oddity import Oddity

_COAT = {
    "red": (214, 52, 48),
    "orange": (242, 140, 40),
    "yellow": (246, 214, 60),
    "green": (58, 158, 84),
    "blue": (56, 104, 214),
    "purple": (140, 75, 192),
    "brown": (128, 82, 50),
    "white": (242, 242, 240),
}
_BLACK, _BEAK, _PINK = (22, 22, 28), (242, 156, 50), (240, 150, 165)

# Middle of the head, by pose.
_HEAD = {"standing": (0.36, -0.72), "sitting": (0.13, -0.84), "jumping": (0.38, -0.98), "flying": (0.34, -0.84)}
_BIRD_STANDING_HEAD = (0.22, -0.8)

# Thickness of trunk and legs: what tells the animals apart from afar, besides ears and tails.
_GIRTH = {"cat": 0.16, "dog": 0.21, "rabbit": 0.245}
_LEG = {"cat": 0.085, "dog": 0.125, "rabbit": 0.11}
_TAIL_ROOT = {"standing": (-0.34, -0.48), "sitting": (-0.22, -0.12), "jumping": (-0.28, -0.5)}
_CAT_TAIL = {
    "standing": [(-0.34, -0.48), (-0.5, -0.56), (-0.54, -0.78), (-0.44, -0.96)],
    "sitting": [(-0.22, -0.07), (-0.46, -0.07), (-0.56, -0.22), (-0.5, -0.42)],
    "jumping": [(-0.28, -0.5), (-0.46, -0.5), (-0.58, -0.64), (-0.56, -0.86)],
}


# Middle of the trunk, by pose: where something is carried.
_BACK = {
    "mammal": {"standing": (-0.06, -0.46), "sitting": (-0.03, -0.38), "jumping": (0.0, -0.62)},
    "bird": {"standing": (0.0, -0.47), "flying": (0.0, -0.66)},
}


class Coat:
    """The coat's colour in its shades, and what is odd about it."""

    def __init__(self, attributes: Attributes, nuisance: Nuisance, oddity: Oddity | None):
        dimmed = 0.88 if attributes.background == "night" else 1.0
        self.base = scaled(scaled(_COAT[attributes.colour], nuisance.shade, nuisance.coat_tint), dimmed)
        self.dark, self.darker = scaled(self.base, 0.74), scaled(self.base, 0.5)
        self.light = scaled(self.base, 1.0, (36, 36, 36)) if attributes.colour != "white" else (206, 200, 198)
        self.pattern, self.oddity, self.girth = nuisance.pattern, None, 1.0
        if oddity:
            self.oddity, self.girth = oddity.marking, oddity.girth
            self.mark = scaled(oddity.colour, dimmed)
            if oddity.marking in ("stripes", "patches"):
                self.pattern = oddity.marking

    def of_ear(self, usual: Colour) -> Colour:
        return self.mark if self.oddity == "ears" else usual


def draw(brush: Brush, attributes: Attributes, nuisance: Nuisance, oddity: Oddity | None = None) -> None:
    coat = Coat(attributes, nuisance, oddity)
    brush.ellipse((0, 0), (0.36, 0.055), scaled(GROUND[attributes.background], 0.74))
    paint = _bird if attributes.animal == "bird" else _mammal
    paint(brush, attributes, coat)
    if oddity and oddity.carried:
        _carried(
            brush, oddity.carried, _BACK["bird" if attributes.animal == "bird" else "mammal"][attributes.pose], coat
        )


def _trunk(brush: Brush, centre: Point, radii: Point, turn: float, coat: Coat) -> None:
    radii = (radii[0], radii[1] * coat.girth)
    brush.ellipse(centre, radii, coat.base, turn)
    (x, y), (rx, ry) = centre, radii
    c, s = math.cos(turn), math.sin(turn)

    def on(u: float, v: float) -> Point:
        """A point of the trunk, from -1 to 1 along and across it."""
        return x + rx * u * c - ry * v * s, y + rx * u * s + ry * v * c

    if coat.pattern == "stripes":
        for u in (-0.45, 0.3):
            across = 0.85 * math.sqrt(1 - u * u)
            brush.polygon(
                [on(u - 0.13, -across), on(u + 0.13, -across), on(u + 0.13, across), on(u - 0.13, across)], coat.mark
            )
    elif coat.pattern == "patches":
        for u, v, size in ((-0.4, -0.15, 0.13), (0.4, 0.25, 0.11)):
            brush.ellipse(on(u, v), (size, size * 0.85), coat.mark)
    elif coat.pattern == "spots":
        for dx, dy in ((-0.5, 0.1), (0.0, -0.35), (0.1, 0.45)):
            brush.ellipse((x + dx * rx, y + dy * ry - dx * turn * rx * 0.5), (0.075, 0.06), coat.darker)
    elif coat.pattern == "belly":
        brush.ellipse((x + 0.02, y + 0.35 * ry), (rx * 0.6, ry * 0.5), coat.light, turn)


def _mammal(brush: Brush, attributes: Attributes, coat: Coat) -> None:
    kind, pose = attributes.animal, attributes.pose
    girth, leg = _GIRTH[kind], _LEG[kind]
    _tail(brush, kind, pose, coat)
    if pose == "standing":
        for x in (-0.19, 0.22):
            brush.stroke([(x, -0.4), (x, -leg / 2)], leg, coat.dark)
        for x in (-0.29, 0.12):
            brush.stroke([(x, -0.4), (x, -leg / 2)], leg, coat.base)
        _trunk(brush, (-0.06, -0.46), (0.34, girth), 0.0, coat)
    elif pose == "sitting":
        brush.stroke([(0.13, -0.42), (0.17, -leg / 2)], leg, coat.dark)
        _trunk(brush, (-0.03, -0.38), (0.36, girth), -1.2, coat)
        brush.ellipse((-0.13, -0.16), (0.19, 0.155), coat.dark)
        brush.ellipse((-0.12, -0.17), (0.165, 0.135), coat.base)
        brush.stroke([(0.03, -0.42), (0.06, -leg / 2)], leg, coat.base)
        brush.ellipse((-0.02, -0.045), (0.12, 0.05), coat.dark)
    else:
        for (x0, y0), (x1, y1) in (((-0.22, -0.5), (-0.46, -0.22)), ((0.2, -0.72), (0.5, -0.66))):
            brush.stroke([(x0, y0), (x1, y1)], leg, coat.dark)
        for (x0, y0), (x1, y1) in (((-0.14, -0.46), (-0.34, -0.14)), ((0.18, -0.66), (0.46, -0.5))):
            brush.stroke([(x0, y0), (x1, y1)], leg, coat.base)
        _trunk(brush, (0.0, -0.62), (0.36, girth), -0.55, coat)
    head = _HEAD[pose]
    {"cat": _cat_head, "dog": _dog_head, "rabbit": _rabbit_head}[kind](brush, head, coat)
    _accessory(brush, attributes.accessory, head, 0.23)


def _tail(brush: Brush, kind: str, pose: str, coat: Coat) -> None:
    x, y = _TAIL_ROOT[pose]
    if kind == "cat":
        brush.stroke(_CAT_TAIL[pose], 0.085, coat.dark)
    elif kind == "dog":
        brush.stroke([(x, y), (x - 0.15, y - 0.16)], 0.1, coat.dark)
    else:
        brush.ellipse((x - 0.07, y), (0.12, 0.12), (252, 248, 246))


def _eyes(brush: Brush, head: Point, *offsets: float) -> None:
    for dx in offsets:
        brush.ellipse((head[0] + dx, head[1] - 0.03), (0.038, 0.05), _BLACK)


def _cat_head(brush: Brush, head: Point, coat: Coat) -> None:
    (x, y), ear = head, coat.of_ear(coat.dark)
    brush.polygon([(x - 0.26, y + 0.02), (x - 0.31, y - 0.38), (x - 0.02, y - 0.17)], ear)
    brush.polygon([(x + 0.02, y - 0.17), (x + 0.31, y - 0.38), (x + 0.26, y + 0.02)], ear)
    brush.ellipse(head, (0.26, 0.215), coat.base)
    brush.ellipse((x + 0.05, y + 0.1), (0.12, 0.085), coat.light)
    brush.ellipse((x + 0.05, y + 0.05), (0.04, 0.03), _PINK)
    _eyes(brush, head, -0.08, 0.16)


def _dog_head(brush: Brush, head: Point, coat: Coat) -> None:
    x, y = head
    brush.ellipse(head, (0.22, 0.21), coat.base)
    brush.ellipse((x + 0.2, y + 0.08), (0.18, 0.115), coat.light)
    brush.ellipse((x + 0.35, y + 0.03), (0.06, 0.055), _BLACK)
    brush.ellipse((x - 0.15, y + 0.07), (0.1, 0.24), coat.of_ear(coat.darker), 0.25)
    _eyes(brush, head, 0.07)


def _rabbit_head(brush: Brush, head: Point, coat: Coat) -> None:
    x, y = head
    for dx, turn, colour in ((-0.13, -0.3, coat.dark), (0.1, 0.22, coat.base)):
        brush.ellipse((x + dx, y - 0.36), (0.085, 0.28), coat.of_ear(colour), turn)
        brush.ellipse((x + dx, y - 0.34), (0.04, 0.2), _PINK, turn)
    brush.ellipse(head, (0.21, 0.2), coat.base)
    brush.ellipse((x + 0.1, y + 0.08), (0.1, 0.08), coat.light)
    brush.ellipse((x + 0.13, y + 0.04), (0.04, 0.03), _PINK)
    _eyes(brush, head, 0.02, 0.17)


def _bird(brush: Brush, attributes: Attributes, coat: Coat) -> None:
    if attributes.pose == "standing":
        head = _BIRD_STANDING_HEAD
        for x in (-0.08, 0.08):
            brush.stroke([(x, -0.28), (x, -0.03), (x + 0.08, -0.03)], 0.05, _BEAK)
        brush.polygon([(-0.16, -0.5), (-0.56, -0.36), (-0.52, -0.2), (-0.1, -0.3)], coat.dark)
        _trunk(brush, (0.0, -0.47), (0.31, 0.24), -0.5, coat)
        brush.ellipse((-0.08, -0.45), (0.22, 0.12), coat.dark, -0.3)
    else:
        head = _HEAD["flying"]
        brush.polygon([(0.0, -0.7), (0.18, -0.68), (-0.04, -1.2), (-0.3, -1.16)], coat.darker)
        brush.polygon([(-0.2, -0.72), (-0.6, -0.72), (-0.56, -0.52), (-0.15, -0.56)], coat.dark)
        _trunk(brush, (0.0, -0.66), (0.32, 0.185), -0.25, coat)
        brush.polygon([(-0.14, -0.66), (0.16, -0.68), (-0.1, -0.16), (-0.4, -0.2)], coat.dark)
    x, y = head
    brush.polygon([(x + 0.12, y - 0.1), (x + 0.12, y + 0.12), (x + 0.42, y + 0.03)], _BEAK)
    brush.ellipse(head, (0.19, 0.19), coat.base)
    _eyes(brush, head, 0.07)
    _accessory(brush, attributes.accessory, head, 0.19)


def _accessory(brush: Brush, accessory: str, head: Point, radius: float) -> None:
    """Colours no coat has, so that none disappears on its wearer."""
    x, y = head
    top = y - radius * 0.72
    if accessory == "hat":
        felt, band = (206, 34, 132), (70, 16, 60)
        brush.polygon([(x - 0.17, top), (x - 0.17, top - 0.32), (x + 0.17, top - 0.32), (x + 0.17, top)], felt)
        brush.polygon([(x - 0.17, top), (x - 0.17, top - 0.1), (x + 0.17, top - 0.1), (x + 0.17, top)], band)
        brush.ellipse((x, top), (0.32, 0.06), felt)
    elif accessory == "crown":
        gold, peaks = (255, 214, 40), ((-0.2, -0.28), (-0.09, -0.13), (0.0, -0.32), (0.09, -0.13), (0.2, -0.28))
        rim = [(x + 0.17, top + 0.04), (x - 0.17, top + 0.04)]
        brush.polygon([*((x + dx, top + dy) for dx, dy in peaks), *rim], gold)
        brush.polygon([*rim, (x - 0.18, top - 0.06), (x + 0.18, top - 0.06)], (216, 40, 60))
    elif accessory == "scarf":
        wool, fold = (64, 214, 222), (34, 170, 186)
        neck = y + radius * 0.95
        brush.stroke([(x - 0.14, neck + 0.02), (x - 0.2, neck + 0.26)], 0.13, fold)
        brush.stroke([(x - 0.2, neck - 0.05), (x - 0.03, neck + 0.03), (x + 0.15, neck - 0.03)], 0.13, wool)


def _carried(brush: Brush, what: str, back: Point, coat: Coat) -> None:
    x, y = back
    if what == "balloon":
        brush.stroke([(x - 0.1, y), (x - 0.34, y - 0.42)], 0.03, _BLACK)
        brush.ellipse((x - 0.38, y - 0.58), (0.17, 0.2), coat.mark)
    elif what == "parcel":
        left, right, top, bottom = x - 0.3, x + 0.02, y - 0.36, y - 0.1
        brush.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], coat.mark)
        brush.stroke([(x - 0.14, top), (x - 0.14, bottom)], 0.04, (70, 16, 60))
    else:
        brush.stroke([(x - 0.2, y), (x - 0.3, y - 0.5)], 0.045, (110, 75, 45))
        brush.polygon(
            [(x - 0.52, y - 0.74), (x - 0.12, y - 0.68), (x - 0.14, y - 0.44), (x - 0.54, y - 0.5)], coat.mark
        )
