"""Held-out edits: a scene no model has seen, and the one attribute a sentence shall change."""

from dataclasses import dataclass, replace

import numpy as np

from demo.scenes.attributes import POSES, VALUES, Attributes
from demo.scenes.captions import caption
from demo.scenes.oddity import MARKINGS, Oddity
from demo.scenes.render import render
from demo.scenes.scene import Scene, edited, sample_scene

# Colour of a sketch cannot be seen, so edits start from pictures in the normal style.
KINDS = ("colour", "pose", "accessory", "background", "style")

# Of what a subject that no caption names is edited in, and over how much of a picture it must show what it is.
IDENTITY, _EDITED_IN = "identity", ("pose", "background", "colour")
_SEEN, _SHOWN = 140, 0.018


@dataclass(frozen=True)
class Edit:
    scene: Scene
    attribute: str  # the one that changes
    value: str

    @property
    def kind(self) -> str:
        return IDENTITY if self.scene.oddity else self.attribute

    @property
    def source_caption(self) -> str:
        return caption(self.scene.attributes)

    @property
    def target_caption(self) -> str:
        return caption(self.truth.attributes)

    @property
    def truth(self) -> Scene:
        return edited(self.scene, self.attribute, self.value)


def draw_edits(per_kind: int, seed: int) -> list[Edit]:
    """`per_kind` edits of each kind, of withheld combinations and held-out seeds; an accessory is added or swapped."""
    rng = np.random.default_rng(seed)
    edits = []
    for kind in KINDS:
        while sum(edit.kind == kind for edit in edits) < per_kind:
            scene = sample_scene(rng, held_out=True)
            if scene.attributes.style == "normal":
                edits.append(Edit(scene, kind, _other(rng, scene.attributes, kind)))
    return edits


def draw_identity_edits(count: int, seed: int) -> list[Edit]:
    """Edits of subjects that no model has seen and no caption names, of every marking in turn; the truth keeps them."""
    rng = np.random.default_rng([seed, count])
    edits = []
    while len(edits) < count:
        marking, attribute = MARKINGS[len(edits) % len(MARKINGS)], _EDITED_IN[len(edits) % len(_EDITED_IN)]
        scene = replace(sample_scene(rng, held_out=True), oddity=Oddity.sample(rng, marking))
        if scene.attributes.style != "normal" or (marking == "ears" and scene.attributes.animal == "bird"):
            continue
        edit = Edit(scene, attribute, _other(rng, scene.attributes, attribute))
        if shows_oddity(edit.scene) and shows_oddity(edit.truth):
            edits.append(edit)
    return edits


def ordinary(scene: Scene) -> Scene:
    """The same with nothing odd about its subject."""
    return replace(scene, oddity=None)


def shows_oddity(scene: Scene) -> bool:
    """Whether an eye sees what is odd: stripes like the coat or ears under a hat say nothing."""
    difference = np.abs(render(scene).astype(int) - render(ordinary(scene))).sum(-1)
    return (difference > _SEEN).mean() > _SHOWN


def _other(rng: np.random.Generator, attributes: Attributes, name: str) -> str:
    values = POSES[attributes.animal] if name == "pose" else VALUES[name]
    return str(rng.choice([value for value in values if value not in (getattr(attributes, name), "none")]))
