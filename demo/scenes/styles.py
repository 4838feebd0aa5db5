"""The two styles besides the normal one, as filters over the finished picture."""

import numpy as np
from PIL import Image, ImageFilter

_PAPER = np.float32([250, 246, 236])
_LUMINANCE = np.float32([0.299, 0.587, 0.114])


def _contours(image: Image.Image) -> np.ndarray:
    """Soft single lines where colours meet, in 8-bit units: (H, W, 1)."""
    highest, lowest = image.filter(ImageFilter.MaxFilter(5)), image.filter(ImageFilter.MinFilter(5))
    lines = Image.fromarray((np.asarray(highest) - np.asarray(lowest)).max(axis=-1))
    return np.asarray(lines.filter(ImageFilter.GaussianBlur(0.8)), np.float32)[..., None]


def sketch(image: Image.Image) -> Image.Image:
    """Grey pencil: broad soft contours over a light shading."""
    luminance = (np.asarray(image, np.float32) @ _LUMINANCE)[..., None]
    pencil = 0.9 * np.minimum(_contours(image), 115) + 0.5 * (255 - luminance)
    return Image.fromarray((_PAPER - pencil).clip(0, 255).astype(np.uint8))


def watercolor(image: Image.Image) -> Image.Image:
    """Pale washes that run a little, pool at their borders and leave the rim of the paper bare."""
    wet = image.filter(ImageFilter.GaussianBlur(1.2))
    pigment = np.asarray(wet, np.float32) - 0.25 * np.minimum(_contours(wet), 120)
    x = np.linspace(-1, 1, pigment.shape[1], dtype=np.float32)[None, :, None]
    y = np.linspace(-1, 1, pigment.shape[0], dtype=np.float32)[:, None, None]
    rim = (x**4 + y**4) ** 0.5 - 0.62 + 0.05 * np.sin(5 * x + 3 * y)
    cover = 0.7 * (1 - rim.clip(0, 0.4) / 0.4)
    return Image.fromarray((_PAPER + cover * (pigment - _PAPER)).clip(0, 255).astype(np.uint8))
