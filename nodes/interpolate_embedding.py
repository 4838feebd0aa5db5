"""Stage C as a node."""

from ..imagic import checks
from ..imagic.interpolation import interpolate
from . import inputs, tensors
from .host.progress import text_sender

LOWEST, HIGHEST = map(float, checks.ETA)
MOST = 100  # numbers of a sweep, each of which is sampled


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
                        "min": LOWEST,
                        "max": HIGHEST,
                        "step": 0.05,
                        "display": "slider",
                        "display_name": "strength",
                        "tooltip": "How strong the edit is (eta). 0 is the photo, 1 the target text, more than 1 goes "
                        "beyond it. Usually 0.8-1.4: take the smallest that shows the edit. Unused while several "
                        "strengths are given.",
                    },
                ),
            },
            "optional": {
                "sweep": (
                    "STRING",
                    {
                        "default": "",
                        "display_name": "several strengths",
                        "tooltip": "Several strengths (eta) to compare, with commas between them and a point for "
                        "decimals: 0.4, 0.8, 1, 1.2, 1.4. The nodes after this one run once for each. Empty: one "
                        "picture, at the strength above.",
                    },
                ),
            },
            "hidden": {"node_id": "UNIQUE_ID"},
        }

    @inputs.checked
    def interpolate(self, optimized, target, eta, sweep="", node_id=None):
        etas = _numbers(sweep) or [eta]
        if len(optimized) not in (1, len(target)):
            raise ValueError(
                f"The optimized conditioning has {len(optimized)} entries and the target {len(target)}: "
                "give the optimized one entry, or as many as the target."
            )
        starts = optimized if len(optimized) == len(target) else optimized * len(target)
        pairs = list(zip(starts, target, strict=True))
        mixed = [[interpolated(start, end, value) for start, end in pairs] for value in etas]
        # Where a comma stands for a decimal point, 1,2 is two numbers: say what was read.
        text_sender(node_id)(f"eta {', '.join(checks.shown(value) for value in etas)}")
        return (mixed, etas)


def interpolated(start: list, end: list, eta: float) -> list:
    """One entry of a CONDITIONING. Areas, masks, controls and sizes are the target's."""
    start_text, _ = tensors.text_tensors(*start)
    end_text, fixed = tensors.text_tensors(*end)
    text = interpolate(start_text, end_text, eta)
    for tensor in text.values():
        checks.finite(f"The conditioning at eta {eta:g}", tensor, "run the text encoder in fp32")
    return [text.pop("cross_attn"), {**fixed, **text}]


def _numbers(sweep: str) -> list[float]:
    """The eta of a sweep; none where it is empty.

    Raises:
        ValueError: it holds something else than numbers, too many of them, or one out of range.
    """
    how = "write numbers separated by commas, with a point for decimals, such as 0.4, 0.6, 0.8"
    parts = [part for part in sweep.replace(";", ",").split(",") if part.strip()]
    if len(parts) > MOST:
        raise ValueError(f"sweep holds {len(parts)} numbers, and each makes a picture: write at most {MOST}.")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise ValueError(f"sweep is {checks.shown(sweep)}, not numbers: {how}.") from None
    for number in numbers:
        if not LOWEST <= number <= HIGHEST:
            raise ValueError(
                f"sweep is {checks.shown(sweep)}, and of that {checks.shown(number)} is not between "
                f"{checks.shown(LOWEST)} and {checks.shown(HIGHEST)}: {how}."
            )
    return numbers
