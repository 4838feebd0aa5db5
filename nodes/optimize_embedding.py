"""Stage A as a node."""

import time

from ..imagic.embedding import optimize_embedding
from . import inputs, report, widgets
from .host import stages
from .host.denoiser import latent_channels


class OptimizeEmbedding:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Stage A of Imagic: with the model frozen, optimizes the embedding of the target text until the model "
        "reconstructs the photo from it. Feed the result to Fine-Tune UNet and Interpolate Embedding."
    )
    SEARCH_ALIASES = ["imagic", "textual inversion", "edit photo", "text embedding optimization"]
    RETURN_TYPES = ("CONDITIONING", "LOSS_MAP")
    RETURN_NAMES = ("optimized", "loss")
    OUTPUT_TOOLTIPS = (
        "The optimized conditioning: the photo in the model's language (eta 0).",
        "The loss of every step, for Loss Chart or Plot Loss Graph.",
    )
    FUNCTION = "optimize"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "The base model. It is not changed."}),
                "latent": ("LATENT", {"tooltip": "The photo to edit, from VAE Encode: one picture."}),
                "conditioning": (
                    "CONDITIONING",
                    {
                        "tooltip": "The target text ('a photo of a sitting dog'), or a caption of the photo as it is, "
                        "which can then serve many targets without tuning again."
                    },
                ),
                "steps": widgets.steps(
                    25, "Optimization steps. 20-100; the paper takes 100 to 1000 with a constant rate."
                ),
                "learning_rate": (
                    "FLOAT",
                    {
                        "default": 0.025,
                        "min": 1e-7,
                        "max": 1.0,
                        "step": 1e-5,
                        "round": False,
                        "tooltip": "Adam's step, as a share of the size of the text's numbers, so that one value suits "
                        "every text encoder. Higher moves further from the text, which reconstructs better "
                        "and asks for a larger eta. 0.002-0.05.",
                    },
                ),
                "schedule": widgets.SCHEDULE,
                "samples": widgets.SAMPLES,
                "seed": widgets.seed("Of the noise. The same seed gives the same embedding on the same machine."),
            },
            # Optional, for graphs that were saved before there was a choice.
            "optional": {
                "gradient_checkpointing": widgets.GRADIENT_CHECKPOINTING,
                "remember": widgets.REMEMBER,
            },
            "hidden": {"node_id": "UNIQUE_ID"},
        }

    @inputs.checked
    def optimize(
        self,
        model,
        latent,
        conditioning,
        steps,
        learning_rate,
        schedule,
        samples,
        seed,
        gradient_checkpointing=False,
        remember=True,
        node_id=None,
    ):
        started = time.monotonic()
        inputs.trainable(model)
        photo = inputs.photo(latent, latent_channels(model), inputs.dimensions(model))
        text, fixed = inputs.single_entry(conditioning)
        inputs.readable(model, text)
        settings = {
            "steps": steps,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "samples": samples,
            "gradient_checkpointing": gradient_checkpointing,
            "seed": seed,
        }
        how = {"remember": remember, "node_id": node_id}
        (optimized, history), recalled = stages.run(
            optimize_embedding, "Optimizing the embedding", model, photo, text, fixed, settings, **how
        )
        # Where the text encoder left its own, so that both can be mixed.
        tensors = {name: tensor.to(conditioning[0][0].device) for name, tensor in optimized.items()}
        entry = [tensors.pop("cross_attn"), {**fixed, **tensors}]
        outputs = ([entry], report.loss_map(history))
        return report.result(outputs, history, time.monotonic() - started, recalled)
