"""The demo models as a node."""

from . import inputs
from .host import demo_model, flow_model

KINDS = {"like SD 1.5": demo_model.load, "like SD 3": flow_model.load}


class DemoCheckpoint:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "A tiny text-to-image model that ships with Imagic, to try it without a download: 128 x 128 pixel scenes of "
        "animals. Swap this node for Load Checkpoint to edit real photos."
    )
    SEARCH_ALIASES = ["imagic", "demo model", "tiny model", "load checkpoint"]
    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    OUTPUT_TOOLTIPS = ("The demo diffusion model.", "Its text encoder.", "Its autoencoder, 8 x downsampling.")
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {},
            "optional": {
                "kind": (
                    list(KINDS),
                    {
                        "default": "like SD 1.5",
                        "tooltip": "Which kind of model. The one like SD 3 is a rectified-flow transformer with "
                        "16 latent channels; it comes with the repository, not with the installed package.",
                    },
                )
            },
        }

    @inputs.checked
    def load(self, kind="like SD 1.5"):
        return KINDS[kind]()
