"""How much of a tuning to use."""

from . import inputs
from .host.lora import of_this_model


class TuningStrength:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Applies a tuning to the base model at any strength, without training again. On newer ComfyUI, Load LoRA Model "
        "does the same."
    )
    SEARCH_ALIASES = ["imagic", "lora strength", "load lora model", "weaken tuning"]
    RETURN_TYPES = ("MODEL",)
    RETURN_NAMES = ("model",)
    OUTPUT_TOOLTIPS = ("The base model with the tuning as patches, to sample from.",)
    FUNCTION = "apply"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "The base model, not the tuned one. It is not changed."}),
                "lora": ("LORA_MODEL", {"tooltip": "The tuning, from Fine-Tune UNet or Load Imagic Edit."}),
                "strength": (
                    "FLOAT",
                    {
                        "default": 1.0,
                        "min": -2.0,
                        "max": 2.0,
                        "step": 0.05,
                        "display": "slider",
                        "display_name": "tuning strength",
                        "tooltip": "1 is as trained, 0 the base model. 0.7-1; lower frees the edit and keeps less of "
                        "the photo, over 1 does the opposite.",
                    },
                ),
            }
        }

    @inputs.checked
    def apply(self, model, lora, strength):
        return (of_this_model(model, lora, strength),)
