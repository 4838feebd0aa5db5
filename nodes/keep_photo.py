"""Sampling an edit of the photo instead of a new picture."""

import time

from torch.nn import functional

from ..imagic.region import FORWARD_EQUIVALENTS
from . import inputs, report, tensors
from .host.denoiser import latent_channels
from .host.keeping import find_region, keep_photo
from .interpolate_embedding import interpolated

PIXELS = 8  # to a latent position on each side, as hosts count them; only a mask's size depends on it


class KeepPhoto:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Makes the sampler draw only what the target text changes: everything else is taken from the photo, also what "
        "the tuned model forgot. Put it between Fine-Tune UNet and the sampler. At eta 0 the photo comes back exactly."
    )
    SEARCH_ALIASES = ["imagic", "preserve background", "flowedit", "diffedit", "inversion", "automatic mask"]
    RETURN_TYPES = ("MODEL", "MASK")
    RETURN_NAMES = ("model", "region")
    OUTPUT_TOOLTIPS = (
        "A clone of the model that keeps the photo while sampling.",
        "Where the photo may change: 1 is free, 0 is kept.",
    )
    FUNCTION = "keep"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": (
                    "MODEL",
                    {"tooltip": "The model to sample from: the tuned one; for a quick try, the base."},
                ),
                "latent": ("LATENT", {"tooltip": "The photo, from VAE Encode. Give the sampler the same one."}),
                "optimized": ("CONDITIONING", {"tooltip": "The optimized conditioning from Optimize Embedding."}),
                "target": ("CONDITIONING", {"tooltip": "The target text, from CLIP Text Encode."}),
                "threshold": (
                    "FLOAT",
                    {
                        "default": 0.4,
                        "min": 0.0,
                        "max": 0.95,
                        "step": 0.05,
                        "tooltip": "How large a change must be to be let through, as a share of the largest. Higher "
                        "keeps more of the photo, lower edits more freely; 0 lets the whole picture change. 0.2-0.7.",
                    },
                ),
            },
            "optional": {
                "region": (
                    "MASK",
                    {"tooltip": "Where the photo may change, to say it yourself; threshold is then unused."},
                ),
            },
        }

    @inputs.checked
    def keep(self, model, latent, optimized, target, threshold, region=None):
        started = time.monotonic()
        inputs.trainable(model)
        photo = inputs.photo(latent, latent_channels(model), inputs.dimensions(model))
        text, fixed = inputs.single_entry(optimized, "optimized")
        if len(target) == 1:
            # As Interpolate Embedding has it at eta 0: of the target's length, which counts where a text is attended to
            # together with the picture.
            text, fixed = inputs.single_entry([interpolated(optimized[0], target[0], 0)])
        inputs.readable(model, text)
        if region is None:
            wanted, _ = inputs.single_entry(target, "target")
            area, cost = find_region(model, photo, text, wanted, fixed, threshold), FORWARD_EQUIVALENTS
        else:
            area, cost = tensors.region(region, photo), 0
        picture = functional.interpolate(area.flatten(0, -3).unsqueeze(1), scale_factor=PIXELS, mode="bilinear")
        outputs = (keep_photo(model, photo, text, area), picture.squeeze(1))
        return report.spent(outputs, cost, time.monotonic() - started)
