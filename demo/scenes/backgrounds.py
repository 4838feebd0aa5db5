"""The four backgrounds, with their hills, trees and clouds."""

import math

import numpy as np
from PIL import Image, ImageFilter

from demo.scenes.brush import Brush, scaled
from demo.scenes.nuisance import Nuisance

_SKY = {"grass": (150, 205, 245), "beach": (178, 224, 250), "snow": (176, 192, 214), "night": (38, 44, 96)}
GROUND = {"grass": (112, 180, 80), "beach": (236, 210, 146), "snow": (232, 238, 246), "night": (48, 62, 84)}
_HILL = {"grass": (84, 152, 84), "beach": (150, 152, 124), "snow": (150, 168, 198), "night": (30, 40, 66)}
_LEAVES = {"grass": (52, 128, 62), "beach": (56, 144, 76), "snow": (76, 122, 106), "night": (24, 54, 58)}
_SEA = (64, 144, 204)


def draw(background: str, nuisance: Nuisance, size: int) -> Image.Image:
    """A picture of `size` pixels square.

    Out of focus, as behind a portrait: an autoencoder with four numbers for a block of 64 pixels keeps soft shapes.
    """
    n = nuisance
    sky, ground = (scaled(c[background], tint=t) for c, t in ((_SKY, n.sky_tint), (GROUND, n.ground_tint)))
    y = (np.arange(size, dtype=np.float32)[:, None] + 0.5) / size
    depth = (y - n.horizon) / (1 - n.horizon)
    column = np.where(y < n.horizon, np.float32(sky) * (0.88 + 0.2 * y), np.float32(ground) * (0.92 + 0.14 * depth))
    pixels = np.repeat(column.clip(0, 255).astype(np.uint8)[:, None], size, axis=1)
    image = Image.fromarray(pixels)
    brush = Brush(image, (0, 0), size)

    if n.sun:
        _sun(brush, background, n.sun, scaled(sky, 0.9))
    for cloud in n.clouds:
        _cloud(brush, cloud, (250, 250, 252) if background != "night" else (66, 72, 122))
    if n.hill:
        x, half_width, height = n.hill
        arc = [math.pi * i / 20 for i in range(21)]
        points = [(x + half_width * math.cos(a), n.horizon - height * math.sin(a)) for a in arc]
        brush.polygon(points, scaled(_HILL[background], tint=n.ground_tint))
    if background == "beach":
        top, bottom = n.horizon - 0.01, n.horizon + 0.1
        brush.polygon([(0, top), (1, top), (1, bottom), (0, bottom)], scaled(_SEA, tint=n.sky_tint))
    if n.tree:
        _tree(brush, background, n.tree, n.horizon + 0.1)
    if n.stone:
        x, y, radius = n.stone
        shadowed, lit = ((76, 80, 98), (98, 102, 120)) if background == "night" else ((126, 123, 122), (152, 150, 150))
        brush.ellipse((x, y), (radius * 1.4, radius), shadowed)
        brush.ellipse((x - radius * 0.3, y - radius * 0.3), (radius * 0.7, radius * 0.4), lit)
    return image.filter(ImageFilter.GaussianBlur(size / 80))


def _sun(brush: Brush, background: str, sun, sky) -> None:
    x, y, radius = sun
    if background == "night":
        brush.ellipse((x, y), (radius, radius), (240, 238, 205))
        brush.ellipse((x + radius * 0.45, y - radius * 0.2), (radius * 0.8, radius * 0.8), sky)
    else:
        brush.ellipse((x, y), (radius, radius), (250, 246, 220) if background == "snow" else (255, 232, 120))


def _cloud(brush: Brush, cloud, colour) -> None:
    x, y, radius = cloud
    for dx, dy, k in ((-0.8, 0.1, 0.6), (0.0, 0.0, 0.75), (0.8, 0.1, 0.6)):
        brush.ellipse((x + dx * radius, y + dy * radius), (radius * k * 1.15, radius * k * 0.7), colour)


def _tree(brush: Brush, background: str, tree, foot: float) -> None:
    x, height = tree
    leaves = _LEAVES[background]
    brush.stroke([(x, foot), (x, foot - height * 0.6)], 0.05, (110, 75, 45) if background != "night" else (56, 46, 52))
    if background == "beach":
        for angle in (-2.9, -2.1, -1.05, -0.25):
            tip = (x + 0.16 * math.cos(angle), foot - height * 0.6 + 0.1 * math.sin(angle))
            brush.stroke([(x, foot - height * 0.6), tip], 0.05, leaves)
    elif background == "snow":
        for i in range(3):
            half, base = 0.13 - 0.03 * i, foot - height * 0.3 - 0.09 * i
            brush.polygon([(x - half, base), (x + half, base), (x, base - 0.17)], leaves)
    else:
        brush.ellipse((x, foot - height * 0.8), (0.13, 0.14), leaves)
