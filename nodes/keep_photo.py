"""Sampling an edit of the photo instead of a new picture."""

import time

from . import edit_region, inputs, report, tensors
from .host.denoiser import pixels_per_position
from .host.photo import keep_photo, keeps_photo
from .host.progress import preview
from .interpolate_embedding import interpolated


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
    HAS_INTERMEDIATE_OUTPUT = True

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
                "threshold": edit_region.THRESHOLD,
            },
            "optional": {
                "region": (
                    "MASK",
                    {
                        "tooltip": "Where the photo may change, from Edit Region or painted; keep (threshold) is "
                        "then unused. Without one, the region is found here."
                    },
                ),
            },
        }

    @inputs.checked
    def keep(self, model, latent, optimized, target, threshold, region=None):
        started = time.monotonic()
        photo = edit_region.photo_of(model, latent)
        if keeps_photo(model):
            raise ValueError("This MODEL keeps a photo already: connect the MODEL that went into the other Keep Photo.")
        text, _ = inputs.single_entry(optimized, "optimized")
        if len(target) == 1:
            text, _ = inputs.single_entry([interpolated(optimized[0], target[0], 0)], "target")
        inputs.readable(model, text)
        if region is None:
            area, cost = edit_region.region(model, photo, optimized, target, threshold)
        else:
            area, cost = tensors.region(region, photo, pixels_per_position(model)), 0
        mask = edit_region.as_mask(area, pixels_per_position(model))
        answer = report.spent((keep_photo(model, photo, text, area), mask), cost, time.monotonic() - started)
        answer["ui"] |= preview(edit_region.picture_of(mask))
        return answer
