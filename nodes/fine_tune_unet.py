"""Stage B as a node."""

import time

from ..imagic.finetuning import TUNE_MODES, fine_tune
from . import inputs, report, widgets
from .host import stages
from .host.denoiser import latent_channels
from .host.lora import apply_update, lora_file_layout


class FineTuneUNet:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Stage B of Imagic: with the optimized embedding frozen, tunes the model until it reconstructs the photo. "
        "The tuned model is a clone with native patches; the model that goes in is not changed."
    )
    SEARCH_ALIASES = ["imagic", "train lora", "dreambooth", "fine-tune", "edit photo"]
    RETURN_TYPES = ("MODEL", "LORA_MODEL", "LOSS_MAP")
    RETURN_NAMES = ("model", "lora", "loss")
    OUTPUT_TOOLTIPS = (
        "The tuned model: a clone of the input with patches, to sample from.",
        "The update alone, for Save LoRA and Load LoRA Model.",
        "The loss of every step, for Loss Chart or Plot Loss Graph.",
    )
    FUNCTION = "tune"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "The base model. It is not changed."}),
                "latent": ("LATENT", {"tooltip": "The photo to edit, from VAE Encode: one picture."}),
                "conditioning": ("CONDITIONING", {"tooltip": "The optimized conditioning from Optimize Embedding."}),
                "tune": (
                    list(TUNE_MODES),
                    {
                        "default": "LoRA",
                        "tooltip": "LoRA: small updates beside the attention layers, least memory. LoRA all layers: "
                        "beside every layer, keeps more and edits less. attention: the full weights of the attention "
                        "layers. all weights: the paper's way. The last two need far more memory and give updates as "
                        "large as the weights.",
                    },
                ),
                "rank": (
                    "INT",
                    {
                        "default": 16,
                        "min": 1,
                        "max": 512,
                        "advanced": True,
                        "tooltip": "Rank of the LoRA, 4-64; unused by the other choices. Higher can hold more detail.",
                    },
                ),
                "steps": widgets.steps(
                    10,
                    "Tuning steps. More keeps the photo better and edits less. 10-40 with Keep Photo, "
                    "80-200 with 8 samples without it; the paper takes 1500.",
                ),
                "learning_rate": (
                    "FLOAT",
                    {
                        "default": 0.001,
                        "min": 1e-8,
                        "max": 1.0,
                        "step": 1e-6,
                        "round": False,
                        "tooltip": "Of Adam, as a share of what each layer puts out, so that one value suits every "
                        "model: 0.001 lets a step change it by up to 1 percent. LoRA and attention: 0.0001-0.002. "
                        "all weights: up to 0.003.",
                    },
                ),
                "schedule": widgets.SCHEDULE,
                "samples": widgets.SAMPLES,
                "gradient_checkpointing": widgets.GRADIENT_CHECKPOINTING,
                "seed": widgets.seed(
                    "Of the noise and the LoRA's start. The same seed gives the same model on the same machine."
                ),
            },
            # Optional, for graphs that were saved before there was a choice.
            "optional": {"remember": widgets.REMEMBER},
            "hidden": {"node_id": "UNIQUE_ID"},
        }

    @inputs.checked
    def tune(
        self,
        model,
        latent,
        conditioning,
        tune,
        rank,
        steps,
        learning_rate,
        schedule,
        samples,
        gradient_checkpointing,
        seed,
        remember=True,
        node_id=None,
    ):
        started = time.monotonic()
        inputs.trainable(model)
        photo = inputs.photo(latent, latent_channels(model), inputs.dimensions(model))
        text, fixed = inputs.single_entry(conditioning)
        inputs.readable(model, text)
        settings = {
            "tune": tune,
            "rank": rank,
            "steps": steps,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "samples": samples,
            "gradient_checkpointing": gradient_checkpointing,
            "seed": seed,
        }
        how = {"remember": remember, "node_id": node_id}
        (update, history), recalled = stages.run(
            fine_tune, "Tuning the model", model, photo, text, fixed, settings, **how
        )
        lora = lora_file_layout(update)
        outputs = (apply_update(model, lora), lora, report.loss_map(history))
        return report.result(outputs, history, time.monotonic() - started, recalled)
