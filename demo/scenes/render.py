"""A scene as pixels."""

import numpy as np
from PIL import Image, ImageFilter

from demo.scenes import animals, backgrounds, styles
from demo.scenes.brush import Brush
from demo.scenes.nuisance import Nuisance
from demo.scenes.scene import Scene

SIZE = 128

# The animal is drawn this many times larger and shrunk, for smooth edges.
_OVERSAMPLING = 2


def render(scene: Scene, nuisance: Nuisance | None = None) -> np.ndarray:
    """The scene as uint8 (SIZE, SIZE, 3) in RGB; the same scene gives the same bytes.

    `nuisance` is what no caption mentions; without it, what the scene's seed gives.
    """
    nuisance = nuisance or Nuisance.from_seed(scene.seed)
    large = SIZE * _OVERSAMPLING
    image = backgrounds.draw(scene.attributes.background, nuisance, SIZE).resize(
        (large, large), Image.Resampling.BILINEAR
    )
    origin = (nuisance.x * large, nuisance.ground * large)
    brush = Brush(image, origin, nuisance.size * large, nuisance.facing)
    animals.draw(brush, scene.attributes, nuisance, scene.oddity)
    image = image.reduce(_OVERSAMPLING).filter(ImageFilter.GaussianBlur(0.6))
    if scene.attributes.style == "sketch":
        image = styles.sketch(image)
    elif scene.attributes.style == "watercolor":
        image = styles.watercolor(image)
    return np.asarray(image)
