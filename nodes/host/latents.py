"""Where a sampler begins that keeps a photo."""

from collections import OrderedDict

import torch
from torch import Tensor

LIMIT = 256  # unfinished samples that are remembered, each the size of a latent
# How far a latent may be from the photo that it is an edit of, in the photo's contrast: where the photo is kept, and on
# the whole where all of it may change. Two pictures that have nothing in common are 1.4 apart.
KEPT, CHANGED = 0.5, 1.0


def fitted_to(latent: Tensor, tensor: Tensor) -> Tensor:
    """A tensor [1, C, H, W] on the device of a latent, with the latent's number of dimensions."""
    between = [1] * (latent.ndim - tensor.ndim)
    return tensor.view(*tensor.shape[:2], *between, *tensor.shape[2:]).to(latent.device, latent.dtype)


class Unfinished:
    """Samples that a run left noise in, each with its photo's counterpart: what a second sampler goes on with."""

    def __init__(self):
        self.entries: OrderedDict[tuple, tuple[Tensor, int]] = OrderedDict()

    def add(self, edits: Tensor, companions: Tensor, steps: int) -> None:
        """
        Args:
            edits, companions: the samples and the photo's counterparts, [N, C, ...].
            steps: predictions so far.
        """
        for edit, companion in zip(edits.split(1), companions.cpu().split(1), strict=True):
            # All eta of a sweep share one companion.
            alike = (known for known, _ in self.entries.values() if torch.equal(known, companion))
            self.entries[_fingerprint(edit)] = next(alike, companion.clone()), steps
            self.entries.move_to_end(_fingerprint(edit))
        while len(self.entries) > LIMIT:
            self.entries.popitem(last=False)

    def find(self, latents: Tensor) -> tuple[Tensor, int] | None:
        """The companions and the number of predictions of latents, if runs left them all."""
        found = [self.entries.get(_fingerprint(latent)) for latent in latents.split(1)]
        if not all(found):
            return None
        return torch.cat([companion for companion, _ in found]), found[0][1]


def _fingerprint(latent: Tensor) -> tuple:
    """Survives rounding to 16 bits, which a host may hand latents on in."""
    values = latent.flatten()
    return tuple(latent.shape), tuple(values[:: max(1, len(values) // 64)].half().tolist())


def starting_points(
    noise: Tensor, latent: Tensor, photo: Tensor, region: Tensor, unfinished: Unfinished
) -> tuple[Tensor, Tensor, int]:
    """The latents that edits and photos begin with, [N, C, ...], and how many predictions there were before.

    Args:
        noise, latent: what the sampler was given, [N, C, ...], in the autoencoder's scale.
        photo, region: [1, C, ...] and [1, 1, ...].

    Raises:
        ValueError: the latent is of another size than the photo, or another picture.
    """
    photo, region = fitted_to(latent, photo), fitted_to(latent, region)
    if latent.shape[1:] != photo.shape[1:]:
        raise ValueError(
            f"The sampler's latent is {_size(latent)} and Keep Photo's photo {_size(photo)}: give the "
            "sampler the photo's own latent. For a second pass at another size, encode the photo at that size for a "
            "Keep Photo of its own, or use the MODEL that went into Keep Photo."
        )
    photos = photo.expand_as(latent)
    same = torch.equal(latent, photos)
    if not noise.any() and not same:
        known = unfinished.find(latent)
        if known is None:
            raise ValueError(
                "Keep Photo did not see the sampler that this latent comes from: use the same MODEL there, turn its "
                "return_with_leftover_noise on, and connect its latent directly. If it has run before, change its seed."
            )
        companion, steps = known
        return latent, companion.to(latent), steps
    if (latent == latent[..., :1, :1]).all():  # an empty latent
        return photos, photos, 0
    kept = (region == 0).expand_as(photo)
    part, limit = (kept[0], KEPT) if kept.any() else (torch.ones_like(photo[0], dtype=torch.bool), CHANGED)
    away = (latent - photos)[:, part].square().mean(1).sqrt().max()
    if not same and away > limit * photo.std():
        raise ValueError(
            "The sampler's latent is another picture than the photo that Keep Photo holds: give the sampler the "
            "photo's own latent, or use the MODEL that went into Keep Photo."
        )
    return latent, photos, 0


def _size(latent: Tensor) -> str:
    return " x ".join(map(str, latent.shape[1:]))
