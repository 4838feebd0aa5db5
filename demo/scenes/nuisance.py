"""Everything in a scene that no caption mentions. An edit is judged on leaving it alone."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Nuisance:
    """Lengths are in image widths, from the upper left corner; tints are added to 8-bit colours."""

    x: float  # of the animal's middle
    ground: float  # where the animal stands
    size: float
    facing: int  # 1 looks right, -1 looks left
    pattern: str  # of the coat
    shade: float
    coat_tint: Colour
    horizon: float
    sky_tint: Colour
    ground_tint: Colour
    sun: tuple[float, float, float] | None  # x, y, radius; the moon at night
    clouds: tuple[tuple[float, float, float], ...]  # x, y, radius
    hill: tuple[float, float, float] | None  # x, half width, height
    tree: tuple[float, float] | None  # x, height
    stone: tuple[float, float, float] | None  # x, y, radius

    @classmethod
    def from_seed(cls, seed: int) -> "Nuisance":
        """Independent of the attributes, so that an edited scene keeps all of it."""
        rng = np.random.default_rng(seed)

        def between(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        def tint(spread: float) -> Colour:
            return (between(-spread, spread), between(-spread, spread), between(-spread, spread))

        def at_a_side() -> float:
            """An x that leaves the middle to the animal."""
            return float(rng.choice([between(0.05, 0.2), between(0.8, 0.95)]))

        return cls(
            x=between(0.38, 0.62),
            ground=between(0.86, 0.94),
            size=between(0.51, 0.61),
            facing=int(rng.choice([1, -1])),
            pattern=str(rng.choice(["plain", "spots", "belly"], p=[0.5, 0.25, 0.25])),
            shade=between(0.88, 1.08),
            coat_tint=tint(12),
            horizon=between(0.44, 0.66),
            sky_tint=tint(16),
            ground_tint=tint(16),
            sun=(between(0.08, 0.92), between(0.08, 0.2), between(0.06, 0.1)) if rng.random() < 0.6 else None,
            clouds=tuple((between(0, 1), between(0.08, 0.3), between(0.08, 0.13)) for _ in range(int(rng.integers(3)))),
            hill=(between(0, 1), between(0.22, 0.45), between(0.07, 0.17)) if rng.random() < 0.5 else None,
            tree=(at_a_side(), between(0.28, 0.42)) if rng.random() < 0.5 else None,
            stone=(at_a_side(), between(0.84, 0.95), between(0.05, 0.075)) if rng.random() < 0.4 else None,
        )
