"""The truth of a pose, drawn where an edit has its animal: a sentence names a pose, and no place.

The renderer puts every pose on the same spot. An edit may put it elsewhere and be right, by as much as one who looks at
both still sees the animal in its place. So the truth may move by an eighth of the picture to each side, up and down,
and by an eighth of its size. It may not turn round.

What is a little further away still counts, since errors are averaged over a window: of twelve flawless poses nine are
complete 20 pixels away, one at 26 and none at 30.
"""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
from scipy.spatial.distance import cdist

from demo.scenes import SIZE, render
from demo.scenes.nuisance import Nuisance

from .pairs import Pair

SHIFTS = [pixels / SIZE for pixels in range(-15, 16, 3)]  # in picture widths; what lies between is within a window
LOWEST = 1.0  # the feet stay in the picture
SIZES = (0.875, 0.9375, 1.0, 1.0625, 1.125)


def register(pair: Pair, picture: np.ndarray) -> Pair:
    """The pair whose truth is nearest to a uint8 picture [128, 128, 3]; of an edit that is no pose, the pair itself."""
    if pair.edit.attribute != "pose":
        return pair
    errors = cdist(_small(picture)[None], _truths(pair), "sqeuclidean")
    return replace(pair, placed=placements(pair)[int(errors.argmin())])


@cache
def placements(pair: Pair) -> tuple[Nuisance, ...]:
    """All places of the animal that count, beginning with the renderer's: among equals, that one."""
    drawn = Nuisance.from_seed(pair.edit.scene.seed)
    offsets = sorted(product(SHIFTS, SHIFTS, SIZES), key=lambda offset: offset != (0, 0, 1))
    return tuple(
        replace(drawn, x=drawn.x + right, ground=drawn.ground + down, size=drawn.size * size)
        for right, down, size in offsets
        if drawn.ground + down <= LOWEST
    )


@cache
def _truths(pair: Pair) -> np.ndarray:
    return np.stack([_small(render(pair.edit.truth, nuisance)) for nuisance in placements(pair)])


def _small(picture: np.ndarray) -> np.ndarray:
    """Half as wide and high, uint8 [12288]: hundreds of truths of a pair are held."""
    return picture.reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean((1, 3)).round().astype(np.uint8).ravel()
