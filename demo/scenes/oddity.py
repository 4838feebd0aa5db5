"""What makes a subject one of its own: no caption names it, and no training scene has it.

Only an edit that keeps the subject keeps it, so pairs of such subjects measure just that.
"""

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

MARKINGS = ("stripes", "patches", "ears", "shape", "carried")

# Colours that the autoencoder has met in this world and so can carry; those of hats and scarves are taken for such.
_MARKS = ((24, 24, 30), (250, 250, 250), (56, 104, 214), (246, 214, 60))
_CARRIED = ("balloon", "parcel", "sign")


@dataclass(frozen=True)
class Oddity:
    """
    marking: one of `MARKINGS`.
    colour: of stripes, patches, ears, or of what is carried.
    girth: of the trunk, in units of what the animal has; training has 1.
    carried: one of a balloon, a parcel and a sign, or "" for nothing.
    """

    marking: str
    colour: Colour = (0, 0, 0)
    girth: float = 1.0
    carried: str = ""

    @classmethod
    def sample(cls, rng: np.random.Generator, marking: str) -> "Oddity":
        colour = _MARKS[int(rng.integers(len(_MARKS)))]
        if marking == "shape":
            return cls(marking, girth=float(rng.choice([0.55, 1.6])))
        if marking == "carried":
            return cls(marking, colour, carried=str(rng.choice(_CARRIED)))
        return cls(marking, colour)
