"""An edit of any editor, put into the full-size photo."""

import torch
from torch import Tensor

from ..imagic.cropping import Box, cut_out
from ..imagic.putting_back import change_between, put_back
from ..imagic.resampling import resize
from . import inputs, stitcher
from .pictures import rgb


class RestorePhoto:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Puts an edit into the full-size photo. Only what the edit changes goes in; every other pixel is the photo's own. "
        "It takes the picture of any editor, and undoes a small shift or zoom."
    )
    SEARCH_ALIASES = ["imagic", "full size", "high resolution", "crop and stitch", "inpaint stitch", "composite"]
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("image", "changed")
    OUTPUT_TOOLTIPS = (
        "The photo at its full size, with the edit in it.",
        "What changed. Where it is black, each pixel is the photo's own.",
    )
    FUNCTION = "restore"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "edited": ("IMAGE", {"tooltip": "The edited picture, of any size, from VAE Decode or another editor."}),
                "align": (
                    "BOOLEAN",
                    {
                        "default": True,
                        "tooltip": "Undo a shift or zoom by the editor. Where there is none, nothing moves.",
                    },
                ),
                "threshold": (
                    "FLOAT",
                    {
                        "default": 3.0,
                        "min": 0.0,
                        "max": 20.0,
                        "step": 0.5,
                        "tooltip": "How much larger than the editor's noise a change must be to go in. Higher keeps more "
                        "of the photo; 0 puts in everything. 2-6.",
                    },
                ),
                "feather": (
                    "FLOAT",
                    {
                        "default": 1.0,
                        "min": 0.0,
                        "max": 10.0,
                        "step": 0.1,
                        "advanced": True,
                        "tooltip": "Width of the region's soft edge, in percent of the photo's shorter side. It lies "
                        "inside the region.",
                    },
                ),
            },
            "optional": {
                "stitcher": (
                    "STITCHER",
                    {"tooltip": "From Crop Photo, or from Inpaint Crop of ComfyUI-Inpaint-CropAndStitch."},
                ),
                "photo": (
                    "IMAGE",
                    {"tooltip": "The full-size photo, if the editor worked on the whole of it. Not with a stitcher."},
                ),
                "before": (
                    "IMAGE",
                    {
                        "tooltip": "The part through VAE Encode and VAE Decode, unedited. What the VAE loses then does "
                        "not count as a change.",
                    },
                ),
                "region": (
                    "MASK",
                    {
                        "tooltip": "Where the photo may change, of the photo's size or the part's. Without one: anywhere."
                    },
                ),
            },
        }

    @inputs.checked
    def restore(self, edited, align, threshold, feather, stitcher=None, photo=None, before=None, region=None):
        places = _places(stitcher, photo, edited)
        edits, befores = rgb(edited).float(), None if before is None else rgb(before).float()
        results = [
            _restored(place, edits[index % len(edits)], befores, index, region, feather)
            for index, place in enumerate(places)
        ]
        images, masks = zip(*results, strict=True)
        return torch.stack(images), torch.stack(masks)


def _places(stitched: dict | None, photo: Tensor | None, edited: Tensor) -> list:
    if (stitched is None) == (photo is None):
        raise ValueError("Connect either the stitcher of Crop Photo or the full-size photo.")
    if photo is not None:
        height, width = photo.shape[1:3]
        stitched = stitcher.stitcher(photo, Box(0, 0, width, height), torch.ones(edited.shape[1:3]), None)
    return list(stitcher.places(stitched)) * (len(edited) if len(stitched["canvas_image"]) == 1 else 1)


def _restored(place, after: Tensor, befores: Tensor | None, index: int, region: Tensor | None, feather: float):
    height, width = after.shape[:2]
    small = cut_out(place.canvas, place.box, width, height)
    before = small if befores is None else resize(befores[index % len(befores)], height, width)
    image, changed = put_back(
        place.canvas, place.box, small, change_between(before, after), torch.ones(height, width), place.region, feather
    )
    return image, changed
