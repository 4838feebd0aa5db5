"""The part of a full-size photo that a model draws."""

import torch

from ..imagic.cropping import Box, crop_box, cut_out, part_size
from ..imagic.part_region import part_seam
from . import inputs, regions
from .stitcher import stitcher_of


class CropPhoto:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Gives the model a picture of the size it draws well, from a photo of any size: the whole frame scaled, or the "
        "surroundings of a region. Nothing is cut off. Restore My Photo puts the edit back into the full-size photo."
    )
    SEARCH_ALIASES = ["imagic", "full size", "high resolution", "crop and stitch", "inpaint crop", "resize photo"]
    RETURN_TYPES = ("STITCHER", "IMAGE", "MASK")
    RETURN_NAMES = ("stitcher", "part", "region")
    OUTPUT_TOOLTIPS = (
        "The photo and where the part lies in it, for Restore My Photo.",
        "The picture to edit, for VAE Encode.",
        "The region at the part's size; white everywhere without one.",
    )
    FUNCTION = "crop"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "photo": ("IMAGE", {"tooltip": "The photo at its full size, from Load Image."}),
                "size": (
                    "INT",
                    {
                        "default": 512,
                        "min": 64,
                        "max": 4096,
                        "step": 8,
                        "tooltip": "Side of a square that the model draws well: 512 pixels for SD 1.5, 1024 for SDXL, "
                        "Flux and Qwen, 128 for the demo model. The part has as many pixels in all.",
                    },
                ),
                "multiple": (
                    "INT",
                    {
                        "default": 16,
                        "min": 8,
                        "max": 128,
                        "step": 8,
                        "advanced": True,
                        "tooltip": "Each side of the part is a multiple of this, as the model needs. 16 fits most "
                        "models, 32 Wan 2.2, 8 SD 1.5 and SDXL.",
                    },
                ),
                "context": (
                    "FLOAT",
                    {
                        "default": 1.5,
                        "min": 1.0,
                        "max": 8.0,
                        "step": 0.1,
                        "advanced": True,
                        "tooltip": "How many times as wide and high as the region the part is, at least. Only with a "
                        "region. 1.2-3.",
                    },
                ),
            },
            "optional": {
                "region": (
                    "MASK",
                    {
                        "tooltip": "Where the edit will be, painted on Load Image say. Only its surroundings are then "
                        "drawn, as sharp as the photo is. Without one: the whole frame.",
                    },
                ),
            },
        }

    @inputs.checked
    def crop(self, photo, size, multiple, context, region=None):
        height, width = photo.shape[1:3]
        area = regions.of_photo(region, height, width)
        if area is None:
            box, (wide, high) = Box(0, 0, width, height), part_size(width, height, size, multiple)
            small = torch.ones(high, wide)
        else:
            box, (wide, high) = crop_box(area, size, multiple, context)
            small = cut_out(area[..., None], box, wide, high)[..., 0]
        rgb = photo[..., :3].expand(-1, -1, -1, 3)
        part = torch.stack([cut_out(picture, box, wide, high) for picture in rgb])
        blend = small if area is None else part_seam(small, 0.01 * min(wide, high))
        return stitcher_of(photo, box, blend, area), part, small[None]
