"""What a caption can say about a scene, and which combinations no model may see in training."""

import zlib
from dataclasses import astuple, dataclass

VALUES = {
    "animal": ("cat", "dog", "rabbit", "bird"),
    "colour": ("red", "orange", "yellow", "green", "blue", "purple", "brown", "white"),
    "pose": ("sitting", "standing", "jumping", "flying"),
    "accessory": ("none", "hat", "crown", "scarf"),
    "background": ("grass", "beach", "snow", "night"),
    "style": ("normal", "sketch", "watercolor"),
}

_ON_LEGS = ("sitting", "standing", "jumping")
POSES = {"cat": _ON_LEGS, "dog": _ON_LEGS, "rabbit": _ON_LEGS, "bird": ("standing", "flying")}

# One combination in this many is kept for evaluation alone: 7 %.
_WITHHELD_ONE_IN = 14


@dataclass(frozen=True)
class Attributes:
    animal: str
    colour: str
    pose: str
    accessory: str = "none"
    background: str = "grass"
    style: str = "normal"

    def __post_init__(self):
        for name, values in VALUES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {', '.join(values)}, not {getattr(self, name)!r}")
        if self.pose not in POSES[self.animal]:
            raise ValueError(f"a {self.animal} has the poses {', '.join(POSES[self.animal])}, not {self.pose!r}")


def is_withheld(attributes: Attributes) -> bool:
    """True for the fixed 7 % of combinations that only evaluation uses.

    A checksum spreads them over the whole table, so each value and each pair of values still occurs in training and
    what is tested is the putting together. CRC-32, because Python salts its own string hash anew in every process.
    """
    return zlib.crc32("|".join(astuple(attributes)).encode()) % _WITHHELD_ONE_IN == 0
