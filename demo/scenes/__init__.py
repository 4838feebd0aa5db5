"""Procedural captioned scenes of 128 x 128 pixels, each of which can be redrawn with exactly one thing changed.

A scene is `Attributes`, which its caption states, and a seed, from which everything the caption leaves unsaid follows:
place, size, pattern, clouds, hill, tree, stone, tints. `edited` changes an attribute and keeps the seed, which makes
it the ground truth of an edit.
"""

from demo.scenes.attributes import POSES, VALUES, Attributes, is_withheld
from demo.scenes.captions import WORDS, caption
from demo.scenes.render import SIZE, render
from demo.scenes.scene import HELD_OUT_SEEDS, Scene, edited, sample_scene

__all__ = [
    "HELD_OUT_SEEDS",
    "POSES",
    "SIZE",
    "VALUES",
    "WORDS",
    "Attributes",
    "Scene",
    "caption",
    "edited",
    "is_withheld",
    "render",
    "sample_scene",
]
