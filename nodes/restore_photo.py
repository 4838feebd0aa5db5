"""An edit of any editor, put into the full-size photo."""

import torch
from torch import Tensor

from ..imagic.cropping import Box
from ..imagic.part_region import without_squares
from ..imagic.resampling import resize
from ..imagic.restoring import Restored, restore
from . import inputs, regions
from .pictures import rgb
from .stitcher import Place, places_of, stitcher_of


class RestorePhoto:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Puts an edit into the full-size photo. Only what the edit changes goes in; every other pixel is the photo's "
        "own. It takes the picture of any editor, and undoes a small shift or zoom."
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
                        "tooltip": "Undo what the editor does to the whole frame: a shift, a zoom, a little more or "
                        "less light. Where there is none, nothing changes.",
                    },
                ),
                "threshold": (
                    "FLOAT",
                    {
                        "default": 3.0,
                        "min": 0.0,
                        "max": 20.0,
                        "step": 0.5,
                        "tooltip": "How much larger than the editor's noise a change must be to go in. Higher keeps "
                        "more of the photo; 0 puts in everything. 2-6.",
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
                    {"tooltip": "Where the photo may change, of the photo's size or the part's. If none: anywhere."},
                ),
            },
        }

    @inputs.checked
    def restore(self, edited, align, threshold, feather, stitcher=None, photo=None, before=None, region=None):
        places = _places(stitcher, photo, edited)
        count = max(len(places), len(edited))
        for name, pictures in (("edited", edited), ("before", before), ("photo", places)):
            if pictures is not None and len(pictures) not in (1, count):
                raise ValueError(
                    f"There are {count} pictures, but {len(pictures)} in {name}: give one for each, or a single one."
                )
        images, masks, told = [], [], []
        for index in range(count):
            place = places[index % len(places)]
            after, unedited = (one if one is None else rgb(one[index % len(one)]) for one in (edited, before))
            found = restore(
                place.canvas,
                place.box,
                after,
                before=unedited,
                align=align,
                threshold=threshold,
                feather=feather / 100,
                **_regions(place, region, after, feather / 100),
            )
            frame = _within(place.frame)
            picture = found.picture[frame]
            images.append(picture if place.alpha is None else torch.cat([picture, place.alpha.to(picture)], -1))
            masks.append(found.changed[frame])
            told.append(_told(found, after))
        return {"ui": {"imagic": told}, "result": (_batch(images), _batch(masks))}


def _places(stitched: dict | None, photo: Tensor | None, edited: Tensor) -> list[Place]:
    """Each photo and where its part lies: all of it where no STITCHER says otherwise."""
    if (stitched is None) == (photo is None):
        raise ValueError("Connect either the stitcher of Crop Photo or the full-size photo to Restore My Photo.")
    if photo is not None:
        height, width = photo.shape[1:3]
        stitched = stitcher_of(photo, Box(0, 0, width, height), torch.ones(edited.shape[1:3]), None)
    return list(places_of(stitched))


def _regions(place: Place, region: Tensor | None, edited: Tensor, feather: float) -> dict[str, Tensor | None]:
    """Where a photo may change, on its canvas and on the part, from the MASK and from the STITCHER."""
    painted, part = place.region, None if place.region is not None else place.blend
    mask = regions.plane(region)
    if mask is None:
        return {"region": painted, "part_region": part}
    height, width = edited.shape[:2]
    of_photo = mask.shape == (place.frame.height, place.frame.width)
    # A photo that was edited whole and unscaled is its own part.
    itself = place.box == place.frame and mask.shape == (height, width)
    if itself or (not of_photo and regions.same_shape(mask, height, width)):
        reach = feather * min(place.frame.height, place.frame.width) * width / place.box.width
        drawn = without_squares(mask, height, width, reach)
        part = drawn if part is None else drawn * resize(part[..., None], *drawn.shape)[..., 0].clamp(0, 1)
    else:
        mask = regions.of_photo(mask, place.frame.height, place.frame.width)
        on_canvas = mask.new_zeros(place.canvas.shape[:2])
        on_canvas[_within(place.frame)] = mask
        painted = on_canvas if painted is None else on_canvas.minimum(painted)
    return {"region": painted, "part_region": part}


def _within(box: Box) -> tuple[slice, slice]:
    return slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)


def _batch(pictures: list[Tensor]) -> Tensor:
    """Pictures of one size as a batch; a single one, which may be large, is not copied."""
    return torch.stack(pictures) if len(pictures) > 1 else pictures[0][None]


def _told(found: Restored, edited: Tensor) -> dict[str, float]:
    """For scripts: what was undone, and how much changed."""
    rows, columns = found.read_at
    middles = (axis.start + axis.step * axis.count / 2 - axis.count / 2 for axis in (columns, rows))
    right, down = middles
    return {
        "shift_right": right,
        "shift_down": down,
        "zoom_width": 1 / columns.step,
        "zoom_height": 1 / rows.step,
        "changed": found.changed.gt(0).float().mean().item(),
    }
