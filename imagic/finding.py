"""Where an edit truly differs from the photo, beyond what the editor's autoencoder and its drift change everywhere."""

import torch
from torch import Tensor
from torch.nn import functional

from .seam import blurred

LEAST_CHANGED = 0.4  # of the picture: from it the noise is read, so that an edit may change more than half
ENOUGH = 0.05  # of the picture: if so much lies outside of the region, the noise is read there
QUIETEST, LOUDEST = 1 / 255, 0.03  # noise, of 0..1: less is rounding, more is a change of the whole picture
WHOLE = 0.6  # of the picture: an edit that changes as much is one of the whole picture
BASE = 0.35  # of the mean detail: noise of what has none
FLAT = 1e-5  # detail, of 0..1: a photo with less is of one colour, and the noise is the same everywhere
FINE = 1 / 256  # of the shorter side, to each side: over which a change is averaged
COARSE = 1 / 128  # the same for a vote, a margin and a soft edge: specks go, holes close


def change_found(before: Tensor, after: Tensor, threshold: float, region: Tensor | None = None) -> Tensor:
    """How much of an edit to put in, [h, w], 0..1: all where it differs from the picture before, nothing elsewhere.

    The noise of an autoencoder grows with the photo's detail. So it is taken in units of that, and its size from the
    part of the picture that changed least.

    Args:
        before, after: [h, w, 3], 0..1.
        threshold: how many times the noise a difference must be. 0 puts in everything.
        region: where the edit may change anything, [h, w], above 0.
    """
    everything = after.new_ones(after.shape[:2])
    if threshold == 0:
        return everything
    side = min(after.shape[:2])
    fine, coarse = max(1.0, side * FINE), max(1.0, side * COARSE)
    size = _size(after - before, fine)
    detail = _size(before - torch.stack([blurred(plane, fine) for plane in before.unbind(-1)], -1), fine)
    expected = (detail + BASE * detail.mean() + FLAT) / ((1 + BASE) * detail.mean() + FLAT)
    quiet = size / expected
    if region is not None and (region == 0).float().mean() > ENOUGH:
        quiet = quiet[region == 0]
    noise = torch.quantile(_sample(quiet), LEAST_CHANGED).clamp(QUIETEST, LOUDEST)
    differs = blurred((size > threshold * noise * expected).float(), coarse) > 0.5
    if differs.float().mean() > WHOLE:
        return everything
    around = 2 * round(2 * coarse) + 1
    grown = functional.max_pool2d(differs[None, None].float(), around, 1, around // 2)[0, 0]
    return blurred(grown, coarse)


def _size(picture: Tensor, reach: float) -> Tensor:
    """The root of the mean square around each pixel, [h, w]."""
    return blurred(picture.square().mean(-1), reach).clamp_min(0).sqrt()


def _sample(values: Tensor) -> Tensor:
    """At most some million of the values, evenly spread: torch's quantile takes no more than 16 million."""
    return values.flatten()[:: values.numel() // 2**20 + 1]
