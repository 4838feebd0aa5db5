"""An editor's picture into the full-size photo: lay it on the photo, find what it changes, put only that in."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .aligning import aligned, covered
from .cropping import Box, cut_out
from .evening import evened
from .finding import COARSE, change_found
from .putting_back import change_between, put_back
from .resampling import Axis, resize
from .seam import feathered, floored


@dataclass(frozen=True)
class Restored:
    """The photo with the edit in it."""

    picture: Tensor  # [H, W, 3], in the photo's type
    changed: Tensor  # [H, W], 0..1; 0 where each pixel is the photo's own
    read_at: tuple[Axis, Axis]  # rows and columns of the edit that lie on those of the part


def restore(
    photo: Tensor,
    box: Box,
    edited: Tensor,
    *,
    before: Tensor | None = None,
    region: Tensor | None = None,
    part_region: Tensor | None = None,
    align: bool = True,
    threshold: float = 3.0,
    feather: float = 0.01,
) -> Restored:
    """Put an edit of a photo's part into the photo.

    Args:
        photo: [H, W, 3], 0..1.
        box: the part, in the photo.
        edited: the edited part, [h, w, 3], at any size.
        before: the part as the editor gives it back unedited, of any size; without it, the part itself.
        region: where the photo may change, [H, W], 0..1.
        part_region: the same for the part, [h', w'], at any size. It is taken as it is; `without_squares` makes one.
        align: undo a shift, a zoom and a change of the whole frame's light by a few percent.
        threshold: how many times the editor's noise counts as a change; 0 puts in everything.
        feather: width of the region's seam, as a share of the photo's shorter side.
    """
    height, width = edited.shape[:2]
    part = cut_out(photo, box, width, height)
    before = part if before is None else resize(before, height, width).to(part)
    after, read_at = edited.to(part), (Axis.onto(height, height), Axis.onto(width, width))
    if align:
        after, read_at = aligned(after, before)
        after, before = evened(after, before)
        # Beyond its own edges an edit says nothing.
        after = torch.where(covered(read_at, height, width)[..., None].to(after) > 0, after, before)
    free = part.new_ones(height, width)
    if part_region is not None:
        free = resize(part_region[..., None].to(free), height, width)[..., 0].clamp(0, 1)
    may_change = free if region is None else free.minimum(cut_out(region[..., None], box, width, height)[..., 0])
    found = free * change_found(before, after, threshold, floored(may_change))
    found = found * feathered(covered(read_at, height, width).to(found), COARSE * min(height, width))
    seam = feather * min(photo.shape[:2])
    picture, changed = put_back(photo, box, part, change_between(part, before, after), found, region, seam)
    return Restored(picture, changed, read_at)
