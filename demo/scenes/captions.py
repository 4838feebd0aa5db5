"""Sentences for scenes. Every word is one token of CLIP's vocabulary."""

import numpy as np

from demo.scenes.attributes import VALUES, Attributes

_BACKGROUND = {
    "grass": ("on the grass", "in a meadow"),
    "beach": ("on the beach", "on the sand"),
    "snow": ("in the snow",),
    "night": ("at night",),
}
_STYLE = {
    "normal": ("", "a photo of", "a picture of"),
    "sketch": ("a sketch of", "a pencil sketch of"),
    "watercolor": ("a watercolor of", "a watercolor painting of"),
}

WORDS = tuple(
    sorted(
        {"a", "an", "wearing"}
        | {word for phrases in (*_BACKGROUND.values(), *_STYLE.values()) for p in phrases for word in p.split()}
        | {w for name in ("animal", "colour", "pose", "accessory") for w in VALUES[name] if w != "none"}
    )
)


def caption(attributes: Attributes, rng: np.random.Generator | None = None) -> str:
    """The full caption, always worded alike; with `rng`, a looser one that drops, rewords and reorders phrases.

    A bare head is never mentioned, nor is the normal style. Loose captions teach the model to fill in what a short
    prompt leaves open, and to take a phrase wherever it stands.
    """

    def chance(p: float) -> bool:
        return rng is not None and rng.random() < p

    def worded(phrases: tuple[str, ...]) -> str:
        return phrases[0] if rng is None else phrases[int(rng.integers(len(phrases)))]

    a = attributes
    # A grey sketch hardly shows colour, so its captions leave the word out more often.
    colour = "" if chance(0.5 if a.style == "sketch" else 0.1) else a.colour
    pose = "" if chance(0.1) else a.pose
    background = "" if chance(0.1) else worded(_BACKGROUND[a.background])
    accessory = "" if a.accessory == "none" or chance(0.05) else f"wearing a {a.accessory}"

    words = [pose, colour, a.animal] if pose and chance(0.2) else [colour, a.animal, pose]
    subject = " ".join(word for word in words if word)
    article = "an" if subject[0] in "aeiou" else "a"
    tail = [accessory, background] if chance(0.35) else [background, accessory]
    return " ".join(part for part in (worded(_STYLE[a.style]), article, subject, *tail) if part)
