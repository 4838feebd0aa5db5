"""A scene: what its caption says, and the seed of everything it does not say."""

from dataclasses import dataclass, replace

import numpy as np

from demo.scenes.attributes import POSES, VALUES, Attributes, is_withheld
from demo.scenes.oddity import Oddity

# Training draws its seeds below this range, so no held-out picture shares even its clouds with a training picture.
HELD_OUT_SEEDS = range(2**31, 2**32)

# How often a value is drawn. Pictures in a style are rarer: they need fewer examples than the things they show.
_CHANCES = {"accessory": (0.31, 0.23, 0.23, 0.23), "style": (0.74, 0.13, 0.13)}

# Where an animal cannot take its predecessor's pose, this one comes nearest.
_NEAREST_POSE = {"sitting": "standing", "jumping": "flying", "flying": "jumping"}


@dataclass(frozen=True)
class Scene:
    attributes: Attributes
    seed: int
    oddity: Oddity | None = None  # none in training


def sample_scene(rng: np.random.Generator, held_out: bool = False) -> Scene:
    """A random scene; held out, of a withheld combination and a seed of its own range, and otherwise neither."""
    while True:
        drawn = {name: str(rng.choice(values, p=_CHANCES.get(name))) for name, values in VALUES.items()}
        drawn["pose"] = str(rng.choice(POSES[drawn["animal"]]))
        attributes = Attributes(**drawn)
        if is_withheld(attributes) == held_out:
            break
    seeds = HELD_OUT_SEEDS if held_out else range(HELD_OUT_SEEDS.start)
    return Scene(attributes, int(rng.integers(seeds.start, seeds.stop)))


def edited(scene: Scene, attribute: str, value: str) -> Scene:
    """The same scene with one attribute changed: the truth an edit is held against.

    Another animal keeps the pose it can take, or takes the nearest: a sitting cat becomes a standing bird.
    """
    changes = {attribute: value}
    if attribute == "animal" and scene.attributes.pose not in POSES[value]:
        changes["pose"] = _NEAREST_POSE[scene.attributes.pose]
    return replace(scene, attributes=replace(scene.attributes, **changes))
