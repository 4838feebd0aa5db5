"""What a method hands back for a pair."""

from dataclasses import dataclass, field

import numpy as np

from .cost import Cost


@dataclass
class Outcome:
    """
    photo: spent once per photo, whatever the target text.
    target: spent once per target text.
    samples: spent on each picture, by dial.
    pictures: uint8 [128, 128, 3], by dial. "0" is the reconstruction where a method has one.
    """

    photo: Cost = field(default_factory=Cost)
    target: Cost = field(default_factory=Cost)
    samples: dict[str, Cost] = field(default_factory=dict)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)

    def sample(self, dial: str) -> Cost:
        return self.samples.setdefault(dial, Cost())
