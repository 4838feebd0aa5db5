"""Stage C as a node."""

from ..imagic import checks
from ..imagic.interpolation import interpolate
from . import inputs, tensors


class InterpolateEmbedding:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Stage C of Imagic: goes eta of the way from the optimized embedding (the photo) to the target text (the "
        "edit). Sample the tuned model with the result."
    )
    SEARCH_ALIASES = ["imagic", "eta", "conditioning average", "blend prompts", "edit strength"]
    RETURN_TYPES = ("CONDITIONING", "FLOAT")
    RETURN_NAMES = ("CONDITIONING", "eta")
    OUTPUT_IS_LIST = (True, True)
    OUTPUT_TOOLTIPS = (
        "The conditioning to sample with; one for each eta, over which the next nodes run in turn.",
        "The eta of each, to label the pictures with.",
    )
    FUNCTION = "interpolate"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "optimized": ("CONDITIONING", {"tooltip": "The optimized conditioning from Optimize Embedding."}),
                "target": ("CONDITIONING", {"tooltip": "The target text, from CLIP Text Encode."}),
                "eta": (
                    "FLOAT",
                    {
                        "default": 1.2,
                        "min": -2.0,
                        "max": 3.0,
                        "step": 0.05,
                        "tooltip": "How far to go: 0 is the photo, 1 the target text, more than 1 goes beyond it. "
                        "0.8-1.4 is usual; take the smallest that shows the edit. Ignored while sweep holds numbers.",
                    },
                ),
            },
            "optional": {
                "sweep": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "Several eta, separated by commas (0.4, 0.8, 1, 1.2, 1.4): the nodes after this one "
                        "run once for each. Empty: only eta.",
                    },
                ),
            },
        }

    @inputs.checked
    def interpolate(self, optimized, target, eta, sweep=""):
        etas = _numbers(sweep) or [eta]
        for value in etas:
            checks.number("eta", value, -2, 3)
        if len(optimized) not in (1, len(target)):
            raise ValueError(
                f"The optimized conditioning has {len(optimized)} entries and the target {len(target)}: "
                "give the optimized one entry, or as many as the target."
            )
        starts = optimized if len(optimized) == len(target) else optimized * len(target)
        pairs = list(zip(starts, target, strict=True))
        return ([[interpolated(start, end, value) for start, end in pairs] for value in etas], etas)


def interpolated(start: list, end: list, eta: float) -> list:
    """One entry of a CONDITIONING. Areas, masks, controls and sizes are the target's."""
    start_text, _ = tensors.text_tensors(*start)
    end_text, fixed = tensors.text_tensors(*end)
    text = interpolate(start_text, end_text, eta)
    for tensor in text.values():
        checks.finite(f"The conditioning at eta {eta:g}", tensor, "run the text encoder in fp32")
    return [text.pop("cross_attn"), {**fixed, **text}]


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.replace(";", ",").split(",") if part.strip()]
    except ValueError:
        raise ValueError(f"sweep is {text!r}: write numbers separated by commas, such as 0.4, 0.6, 0.8.") from None
