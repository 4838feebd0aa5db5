"""Held-out edits: a scene no model has seen, and the one attribute a sentence shall change."""

from dataclasses import dataclass

import numpy as np

from demo.scenes.attributes import POSES, VALUES
from demo.scenes.captions import caption
from demo.scenes.scene import Scene, edited, sample_scene

# Colour of a sketch cannot be seen, so edits start from pictures in the normal style.
KINDS = ("colour", "pose", "accessory", "background", "style")


@dataclass(frozen=True)
class Edit:
    scene: Scene
    kind: str
    value: str

    @property
    def source_caption(self) -> str:
        return caption(self.scene.attributes)

    @property
    def target_caption(self) -> str:
        return caption(self.truth.attributes)

    @property
    def truth(self) -> Scene:
        return edited(self.scene, self.kind, self.value)


def draw_edits(per_kind: int, seed: int) -> list[Edit]:
    """`per_kind` edits of each kind, of withheld combinations and held-out seeds; an accessory is added or swapped."""
    rng = np.random.default_rng(seed)
    edits = []
    for kind in KINDS:
        while sum(edit.kind == kind for edit in edits) < per_kind:
            scene = sample_scene(rng, held_out=True)
            attributes = scene.attributes
            if attributes.style != "normal":
                continue
            values = POSES[attributes.animal] if kind == "pose" else VALUES[kind]
            choices = [value for value in values if value not in (getattr(attributes, kind), "none")]
            edits.append(Edit(scene, kind, str(rng.choice(choices))))
    return edits
