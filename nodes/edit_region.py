"""Where the target text would change the photo."""

import time

from torch import Tensor
from torch.nn import functional

from ..imagic import checks
from . import inputs, report, tensors
from .host.denoiser import latent_channels, pixels_per_position
from .host.progress import preview
from .host.region import find_region
from .interpolate_embedding import interpolated

LOWEST, HIGHEST = checks.THRESHOLD
THRESHOLD = (
    "FLOAT",
    {
        "default": 0.4,
        "min": float(LOWEST),
        "max": HIGHEST,
        "step": 0.05,
        "display": "slider",
        "display_name": "keep",
        "tooltip": "How much of the photo to keep (threshold). Higher keeps more, lower lets the edit spread; 0 lets "
        "the whole picture change. Usually 0.2-0.7. A place may change where the model changes it by at least this "
        "share of the largest change.",
    },
)


class EditRegion:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Finds where the target text would change the photo, by asking the model, and gives it as a mask. Look at it, "
        "grow or paint it with mask nodes, and give it to Keep Photo as its region."
    )
    SEARCH_ALIASES = ["imagic", "automatic mask", "diffedit", "segment by text", "edit mask"]
    RETURN_TYPES = ("MASK", "IMAGE")
    RETURN_NAMES = ("region", "picture")
    OUTPUT_TOOLTIPS = (
        "Where the photo may change: 1 is free, 0 is kept.",
        "The mask as a picture.",
    )
    FUNCTION = "find"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": (
                    "MODEL",
                    {"tooltip": "The model to ask: the tuned one; for a quick try, the base."},
                ),
                "latent": ("LATENT", {"tooltip": "The photo, from VAE Encode."}),
                "optimized": (
                    "CONDITIONING",
                    {"tooltip": "The optimized conditioning from Optimize Embedding, or a caption of the photo."},
                ),
                "target": ("CONDITIONING", {"tooltip": "The target text, from CLIP Text Encode."}),
                "threshold": THRESHOLD,
            },
            "optional": {
                "painted": (
                    "MASK",
                    {
                        "tooltip": "A region that you painted, from Crop Photo. It is then taken as it is, and nothing "
                        "is searched. One that is white everywhere counts as none."
                    },
                ),
            },
        }

    @inputs.checked
    def find(self, model, latent, optimized, target, threshold, painted=None):
        started = time.monotonic()
        photo = photo_of(model, latent)
        if painted is None or (painted >= 1).all():
            area, cost = region(model, photo, optimized, target, threshold)
        else:
            area, cost = tensors.region(painted, photo, pixels_per_position(model)), 0
        mask = as_mask(area, pixels_per_position(model))
        picture = picture_of(mask)
        answer = report.spent((mask, picture), cost, time.monotonic() - started)
        answer["ui"] |= preview(picture)
        return answer


def photo_of(model, latent: dict) -> Tensor:
    """The photo's latent, [1, C, ...], if MODEL can edit it."""
    inputs.trainable(model)
    return inputs.photo(latent, latent_channels(model), inputs.dimensions(model))


def region(model, photo: Tensor, optimized: list, target: list, threshold: float) -> tuple[Tensor, int]:
    """The region at the latent's resolution, [1, 1, ...], 0..1, on the CPU, and the evaluations it took."""
    inputs.single_entry(optimized, "optimized")
    inputs.single_entry(target, "target")
    # Of one length, which counts where text and picture attend to each other.
    (text, fixed), (wanted, _) = (inputs.single_entry([interpolated(optimized[0], target[0], eta)]) for eta in (0, 1))
    inputs.readable(model, text)
    return find_region(model, photo, text, wanted, fixed, threshold)


def picture_of(mask: Tensor) -> Tensor:
    """A MASK [1, H, W] as an IMAGE [1, H, W, 3]: white may change, black is kept."""
    return mask.unsqueeze(-1).expand(-1, -1, -1, 3)


def as_mask(region: Tensor, pixels: int) -> Tensor:
    """A MASK [1, H, W] of a region at the latent's resolution, with so many pixels to a position on each side.

    Each position is a square of one value, so that `tensors.region` gives the region back as it was.
    """
    plane = region.flatten(0, -3).unsqueeze(1)
    return functional.interpolate(plane, scale_factor=pixels, mode="nearest").squeeze(1)
