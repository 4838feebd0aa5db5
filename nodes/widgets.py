"""Widgets that the two training stages share."""

from ..imagic.training import SCHEDULES


def steps(default: int, tooltip: str) -> tuple:
    return ("INT", {"default": default, "min": 1, "max": 10000, "tooltip": tooltip})


SCHEDULE = (
    list(SCHEDULES),
    {
        "default": "cosine",
        "advanced": True,
        "tooltip": "How the learning rate goes: falling to zero along a cosine, so that few steps suffice, or constant "
        "as in the paper.",
    },
)
SAMPLES = (
    "INT",
    {
        "default": 2,
        "min": 1,
        "max": 64,
        "tooltip": "Noise samples a step, spread evenly over the noise levels. 2-8; the paper takes 1. More is "
        "steadier, and costs time in proportion.",
    },
)
# Off: it costs a third of the time, and most models in use fit without. The out-of-memory message suggests it.
GRADIENT_CHECKPOINTING = (
    "BOOLEAN",
    {
        "default": False,
        "advanced": True,
        "tooltip": "Compute each block again instead of remembering it: a third to a half slower, a fraction of the "
        "memory.",
    },
)

REMEMBER = (
    "BOOLEAN",
    {
        "default": True,
        "advanced": True,
        "display_name": "never train twice",
        "tooltip": "If this photo, text, model and settings were trained before, take the result from disk, even after "
        "a restart. Off: train again, and keep nothing.",
    },
)


def seed(tooltip: str) -> tuple:
    # `control_after_generate` off: the seed is part of what was trained, and another one trains again.
    return (
        "INT",
        {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF, "control_after_generate": False, "tooltip": tooltip},
    )
