"""STITCHER: where a part lies in a photo, as ComfyUI-Inpaint-CropAndStitch hands it from its first node to its second.

A dict of lists, one entry for each picture. The photo lies on a canvas that may be larger, and the part on the canvas:

    canvas_image[i]            [1, H, W, 3]
    canvas_to_orig_x/y/w/h     the photo on the canvas
    cropped_to_canvas_x/y/w/h  the part on the canvas
    cropped_mask_for_blend[i]  [1, h, w], at the part's size: how much of the edit shows

Ours holds two entries more, which the other pack leaves alone: the photo's alpha, and the region at the photo's size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..imagic.cropping import Box

OURS = ALPHA, REGION = "imagic_alpha", "imagic_region"  # [1, H, W, 1] each, or None
PLACES = [f"{inner}_{side}" for inner in ("canvas_to_orig", "cropped_to_canvas") for side in "xywh"]
# What the other pack's second node reads beside the lists: how it scales, and where.
OTHERS = {
    "downscale_algorithm": "bilinear",
    "upscale_algorithm": "bicubic",
    "blend_pixels": 0,
    "device_mode": "cpu (compatible)",
}


@dataclass(frozen=True)
class Place:
    """A photo and where the part lies in it."""

    canvas: Tensor  # [H, W, 3]
    alpha: Tensor | None  # [H, W, 1]
    frame: Box  # the photo on the canvas
    box: Box  # the part on the canvas
    blend: Tensor  # [h, w], 0..1, at the part's size
    region: Tensor | None  # [H, W], 0..1, at the canvas' size


def stitcher_of(photo: Tensor, box: Box, blend: Tensor, region: Tensor | None) -> dict:
    """The STITCHER of photos [N, H, W, C] without a canvas around them.

    Args:
        blend: [h, w], at the part's size.
        region: [H, W], at the photo's size.
    """
    height, width = photo.shape[1:3]
    pictures = photo[..., :3].expand(-1, -1, -1, 3).split(1)
    count = len(pictures)
    alpha = photo[..., 3:].split(1) if photo.shape[-1] == 4 else [None] * count
    places = [0, 0, width, height, box.left, box.top, box.width, box.height]
    return {
        **OTHERS,
        **{key: [place] * count for key, place in zip(PLACES, places, strict=True)},
        "canvas_image": list(pictures),
        "cropped_mask_for_blend": [blend[None]] * count,
        ALPHA: list(alpha),
        REGION: [None if region is None else region[None, ..., None]] * count,
    }


def places_of(stitcher: dict) -> Iterator[Place]:
    """The photos of a STITCHER that `checked` has let through, one after another."""
    for index, canvas in enumerate(stitcher["canvas_image"]):
        frame, box = (Box(*(stitcher[key][index] for key in PLACES[part : part + 4])) for part in (0, 4))
        alpha, region = (stitcher[key][index] if key in stitcher else None for key in (ALPHA, REGION))
        blend = stitcher["cropped_mask_for_blend"][index]
        alpha, region = (None if part is None else part[0] for part in (alpha, region))
        painted = None if region is None else region[..., 0]
        yield Place(canvas[0], alpha, frame, box, blend[0].float().clamp(0, 1), painted)


def checked(name: str, value: object) -> dict:
    """A STITCHER that holds what the second node needs.

    Raises:
        ValueError: it does not.
    """
    refusal = ValueError(
        f"The {name} does not say where the part lies: connect the stitcher of Crop Photo or of Inpaint Crop."
    )
    if not isinstance(value, dict):
        raise refusal
    keys = [*PLACES, "canvas_image", "cropped_mask_for_blend", *(key for key in OURS if key in value)]
    if not all(isinstance(value.get(key), list) and value[key] for key in keys):
        raise refusal
    if len({len(value[key]) for key in keys}) > 1:
        raise refusal
    for entry in zip(*(value[key] for key in keys), strict=True):
        if not _sound(entry[:8], *entry[8:]):
            raise refusal
    if len(set(zip(value["canvas_to_orig_w"], value["canvas_to_orig_h"], strict=True))) > 1:
        raise ValueError(f"The photos of the {name} differ in size: put them back one at a time.")
    return value


def _sound(sides: tuple, canvas: object, blend: object, *ours: object) -> bool:
    """Whether what a STITCHER holds of one picture fits together."""
    if not all(isinstance(side, int) for side in sides) or not _numbers(canvas, 4, 3) or not _numbers(blend, 3):
        return False
    height, width = canvas.shape[1:3]
    within = (
        0 <= left < left + wide <= width and 0 <= top < top + high <= height
        for left, top, wide, high in (sides[:4], sides[4:])
    )
    # Ours are the photo's alpha and a region; our canvas is the photo.
    return all(within) and all(
        part is None or (_numbers(part, 4, 1) and part.shape[:3] == canvas.shape[:3]) for part in ours
    )


def _numbers(value: object, dimensions: int, channels: int | None = None) -> bool:
    """Whether it is a batch of one picture, of finite numbers."""
    return (
        isinstance(value, Tensor)
        and value.ndim == dimensions
        and len(value) == 1
        and value.is_floating_point()
        and value.numel() > 0
        and channels in (None, value.shape[-1])
        and bool(torch.isfinite(value).all())
    )
