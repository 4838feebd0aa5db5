"""Put an edit back into the full-size photo: the change, not the picture.

The edited part is small. Enlarged, it would be soft. So what is enlarged is how it differs from the photo at the same
size, and that is added to the photo. The photo's own detail, which is too fine for the small picture, stays as far as
the edit still shows what it belonged to; it takes the edit's colours, so that a red coat made blue keeps its weave.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .cropping import Box
from .resampling import Axis, resample
from .seam import blurred, faded, floored, seam_widths

TILE = 512  # pixels of the photo's side that are worked on at a time
NEAR = 2.0  # pixels of the part to each side: what is smaller than this is texture, what is larger is colour
AROUND = 4.0  # pixels of the part to each side, over which textures are compared
# How like its own the photo's texture still is in the edit, 1 at most, where its finer detail goes and where it stays.
GONE, STAYS = 0.2, 0.6
SMOOTH = 2e-3  # texture of less than this, of 0..1, says nothing: finer detail stays


@dataclass(frozen=True)
class Change:
    """What an edit does to a part, in maps of the part's size [h, w, C], to be enlarged."""

    difference: Tensor  # C = 3
    recolour: Tensor  # C = 3, by how much the colour around changes
    colour: Tensor  # C = 3, the photo's colour around, over its squared length
    keep: Tensor  # C = 1, 0..1, how much of the photo's detail stays


def change_between(part: Tensor, before: Tensor, after: Tensor) -> Change:
    """How an edited part differs from the part as it was, [h, w, 3] each.

    Args:
        before: the part as the editor draws it without an edit: what its autoencoder makes of it, or the part itself.
    """
    around_before, around_after = _mean(before, NEAR), _mean(after, NEAR)
    recolour = around_after - around_before
    colour = around_before / around_before.square().sum(-1, keepdim=True).clamp_min(1e-3)
    texture = before - around_before
    # The texture as it would be in the edit's colours, against the one the edit shows.
    expected = texture + recolour * (colour * texture).sum(-1, keepdim=True)
    shown = after - around_after
    together, expected_size, shown_size = (
        _mean((one * other).sum(-1, keepdim=True), AROUND)
        for one, other in ((expected, shown), (expected, expected), (shown, shown))
    )
    likeness = (together + STAYS * SMOOTH**2) / (expected_size.maximum(shown_size) + SMOOTH**2)
    keep = ((likeness - GONE) / (STAYS - GONE)).clamp(0, 1)
    # What the autoencoder lost of the photo belongs to what stays of it, not to what replaces it.
    return Change(after - torch.lerp(part, before, keep), recolour, colour, keep)


def put_back(
    photo: Tensor, box: Box, small: Tensor, change: Change, found: Tensor, region: Tensor | None, feather: float
) -> tuple[Tensor, Tensor]:
    """The full-size photo with the change in it.

    Args:
        photo: [H, W, 3].
        box: where the part lies in the photo.
        small: the photo's part at the size of the change, [h, w, 3].
        found: how much of the change is put in, [h, w], 0..1.
        region: where the photo may change, [H, W], 0..1; None for all of the box.
        feather: width of the region's seam, in pixels of the photo.

    Returns:
        The edit [H, W, 3] in the photo's type, and how much of the change each pixel has, [H, W]. Where that is 0, the
        edit is the photo, bit for bit.
    """
    result, put_in = photo.clone(), photo.new_zeros(photo.shape[:2], dtype=torch.float32)
    widths = None if region is None else seam_widths(region, feather)
    maps = torch.cat([small, change.difference, change.recolour, change.colour, change.keep], -1)
    for top in range(box.top, box.top + box.height, TILE):
        for left in range(box.left, box.left + box.width, TILE):
            tile = Box(left, top, min(TILE, box.left + box.width - left), min(TILE, box.top + box.height - top))
            at = slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width)
            amount = None if region is None else _faded_tile(region, tile, widths, feather)
            if amount is not None and not amount.any():
                continue
            axes = _axes(tile, box, small.shape)
            share = floored(resample(found[..., None], *axes))
            if amount is not None:
                share = share * amount[..., None].to(share)
            if not share.any():
                continue
            little, difference, recolour, colour, keep = resample(maps, *axes).split([3, 3, 3, 3, 1], -1)
            own = photo[at].float()
            detail = own - little
            recoloured = detail + recolour * (colour * detail).sum(-1, keepdim=True)
            edit = own + share * (difference + keep.clamp(0, 1) * recoloured - detail)
            result[at] = torch.where(share > 0, edit.clamp(0, 1).to(photo), photo[at])
            put_in[at] = share[..., 0]
    return result, put_in


def _axes(tile: Box, box: Box, size: torch.Size) -> tuple[Axis, Axis]:
    """Where a tile of the photo lies in the part."""
    down, across = size[0] / box.height, size[1] / box.width
    rows, columns = Axis(-box.top * down, down, 0), Axis(-box.left * across, across, 0)
    return rows.part(tile.top, tile.height), columns.part(tile.left, tile.width)


def _faded_tile(region: Tensor, tile: Box, widths: Tensor, widest: float) -> Tensor:
    """The tile of what `faded` makes of the whole region."""
    margin = int(widest) + 2
    top, left = max(0, tile.top - margin), max(0, tile.left - margin)
    at = slice(top, tile.top + tile.height + margin), slice(left, tile.left + tile.width + margin)
    inner = slice(tile.top - top, tile.top - top + tile.height), slice(tile.left - left, tile.left - left + tile.width)
    return faded(region[at], widths[at])[inner]


def _mean(picture: Tensor, reach: float) -> Tensor:
    """Of each channel of [h, w, C], the mean over a square."""
    return torch.stack([blurred(plane, reach) for plane in picture.unbind(-1)], -1)
