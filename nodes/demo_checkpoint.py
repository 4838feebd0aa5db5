"""The bundled demo model as a node."""

from .host import demo_model


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
        return {"required": {}}

    def load(self):
        return demo_model.load()
