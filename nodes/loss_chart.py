"""The course of a training run as a picture."""

import math

import numpy as np

from . import inputs
from .charts import chart


class LossChart:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Draws the course of a training run: the loss of every step, its running mean, and the validation loss before "
        "and after, which alone can be compared between runs."
    )
    SEARCH_ALIASES = ["imagic", "plot loss graph", "training chart", "validation loss"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("chart",)
    OUTPUT_TOOLTIPS = ("The chart, 960 x 540 pixels, to preview or save.",)
    FUNCTION = "draw"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "loss": ("LOSS_MAP", {"tooltip": "The loss of Optimize Embedding, Fine-Tune UNet or Train LoRA."}),
                "title": ("STRING", {"default": "Imagic", "tooltip": "Written over the chart."}),
            }
        }

    @inputs.checked
    def draw(self, loss, title):
        losses = loss["loss"]
        # Dollars would start a formula.
        with chart(title.replace("$", r"\$")) as (axes, image):
            steps = range(1, len(losses) + 1)
            axes.plot(steps, losses, color="tab:blue", alpha=0.35, linewidth=1, label="loss of a step")
            window = max(2, math.ceil(len(losses) / 10))
            if len(losses) > window:
                axes.plot(steps, _running_mean(losses, window), color="tab:blue", label=f"mean of {window} steps")
            if loss.get("validation"):
                points = list(zip(loss["validation_steps"], loss["validation"], strict=True))
                axes.plot(*zip(*points, strict=True), "o--", color="tab:orange", label="validation loss")
                # Other trainers may have many points between.
                for step, value in dict.fromkeys((points[0], points[-1])):
                    side = 8 if step == 0 else -8
                    axes.annotate(
                        f"{value:.3g}",
                        (step, value),
                        (side, 8),
                        textcoords="offset points",
                        ha="left" if side > 0 else "right",
                        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
                    )
            axes.set_xlabel(f"step (stopped after {len(losses)})")
            axes.set_ylabel("mean squared error of the model's prediction")
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
            axes.legend(loc="upper right")  # to look for the best place takes long among many steps
            return (image(),)


def _running_mean(values: list[float], window: int) -> np.ndarray:
    """The mean of the last `window` values at each, of fewer at the start."""
    totals, ends = np.cumsum([0.0, *values]), np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (totals[ends] - totals[starts]) / (ends - starts)
