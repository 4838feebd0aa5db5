"""Where a sampler begins that keeps a photo.

What it was given is told apart by facts where there are any: the noise it adds, the photo's own numbers, an empty
latent's zeros, the bytes of what Keep Photo's samplers drew before. One judgement remains, `KEPT` and `CHANGED`: a
latent may come from anywhere, say an edit that was decoded, touched up and encoded again, which is welcome, or a tile
of a larger picture, in whose place the photo would come out without a word. No host says which.
"""

import hashlib
from collections import OrderedDict

import torch
from torch import Tensor

from .versions import type_handed_on

# Unfinished samples that are remembered, each the size of a latent. Hosts copy what a sampler returns, so nothing says
# when one is no longer of use.
LIMIT = 256
# How far a latent from elsewhere may be from the photo that it is an edit of, in the photo's contrast: where the photo
# is kept, and on the whole where all of it may change. Two pictures that have nothing in common are 1.4 apart.
KEPT, CHANGED = 0.5, 1.0


def fitted_to(latent: Tensor, tensor: Tensor) -> Tensor:
    """A tensor [1, C, H, W] on the device of a latent, with the latent's number of dimensions."""
    between = [1] * (latent.ndim - tensor.ndim)
    return tensor.view(*tensor.shape[:2], *between, *tensor.shape[2:]).to(latent.device, latent.dtype)


class Drawn:
    """What samplers drew with one Keep Photo."""

    def __init__(self):
        self.unfinished: OrderedDict[bytes, tuple[Tensor, int]] = OrderedDict()
        self.finished: set[bytes] = set()

    def leave(self, edits: Tensor, companions: Tensor, steps: int) -> None:
        """Remember samples that a run left noise in, each with its photo's counterpart, for a sampler that goes on.

        Args:
            edits, companions: the samples and the photo's counterparts, [N, C, ...].
            steps: predictions so far.
        """
        for edit, companion in zip(edits.split(1), companions.cpu().split(1), strict=True):
            # All eta of a sweep share one companion.
            alike = (known for known, _ in self.unfinished.values() if torch.equal(known, companion))
            name = _digest(edit)
            self.unfinished[name] = next(alike, companion.clone()), steps
            self.unfinished.move_to_end(name)
        while len(self.unfinished) > LIMIT:
            self.unfinished.popitem(last=False)

    def finish(self, edits: Tensor) -> None:
        """Remember edits [N, C, ...] that a second pass may begin with."""
        self.finished.update(map(_digest, edits.split(1)))

    def companions(self, latents: Tensor) -> tuple[Tensor, int] | None:
        """The companions and the number of predictions of latents, if runs left them all."""
        found = [self.unfinished.get(_digest(latent)) for latent in latents.split(1)]
        if not all(found):
            return None
        return torch.cat([companion for companion, _ in found]), found[0][1]

    def finished_here(self, latent: Tensor) -> bool:
        """Whether a latent [1, C, ...] is an edit that a run ended with."""
        return _digest(latent) in self.finished


def _digest(latent: Tensor) -> bytes:
    """Of the shape and of every byte, in the type in which the host hands latents on."""
    values = latent.to("cpu", type_handed_on()).contiguous().view(torch.uint8)
    return hashlib.sha256(str(tuple(latent.shape)).encode() + values.numpy().tobytes()).digest()


def starting_points(
    noise: Tensor, latent: Tensor, photo: Tensor, region: Tensor, drawn: Drawn
) -> tuple[Tensor, Tensor, int]:
    """The latents that edits and photos begin with, [N, C, ...], and how many predictions there were before.

    Args:
        noise, latent: what the sampler was given, [N, C, ...], in the autoencoder's scale.
        photo, region: [1, C, ...] and [1, 1, ...].
        drawn: with this photo so far.

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
        known = drawn.companions(latent)
        if known is None:
            raise ValueError(
                "Keep Photo did not see the sampler that this latent comes from: use the same MODEL there, turn its "
                "return_with_leftover_noise on, and connect its latent directly. If it has run before, change its seed."
            )
        companion, steps = known
        return latent, companion.to(latent), steps
    if not latent.any():  # an empty latent: zeros, by the host's own rule
        return photos, photos, 0
    kept = (region == 0).expand_as(photo)
    part, limit = (kept[0], KEPT) if kept.any() else (torch.ones_like(photo[0], dtype=torch.bool), CHANGED)
    for one in latent.split(1):
        away = (one - photo)[0, part].square().mean().sqrt()
        if away > limit * photo.std() and not drawn.finished_here(one):
            raise ValueError(
                "The sampler's latent is another picture than the photo that Keep Photo holds: give the sampler the "
                "photo's own latent, or use the MODEL that went into Keep Photo."
            )
    return latent, photos, 0


def _size(latent: Tensor) -> str:
    return " x ".join(map(str, latent.shape[1:]))
