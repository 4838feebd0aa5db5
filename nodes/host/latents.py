"""Where a sampler begins that keeps a photo."""

from collections import OrderedDict

import torch
from torch import Tensor

LIMIT = 64  # unfinished samples that are remembered, each the size of a latent
RELATED = 0.5  # how far a latent may be from a photo that it is an edit of, in the photo's contrast, where it is kept


def like(tensor: Tensor, latent: Tensor) -> Tensor:
    """A tensor [1, C, H, W] on the device of a latent, with the latent's number of dimensions."""
    between = [1] * (latent.ndim - tensor.ndim)
    return tensor.view(*tensor.shape[:2], *between, *tensor.shape[2:]).to(latent.device, latent.dtype)


class Unfinished:
    """Samples that a run left noise in, each with its photo's counterpart: what a second sampler goes on with."""

    def __init__(self):
        self.entries: OrderedDict[tuple, tuple[Tensor, int]] = OrderedDict()

    def add(self, edit: Tensor, companion: Tensor, steps: int) -> None:
        """
        Args:
            edit, companion: the samples and the photo's counterparts, [N, C, ...].
            steps: predictions so far.
        """
        companion = companion.cpu()
        # Those of a sweep of eta are one and the same.
        companion = next((known for known, _ in self.entries.values() if torch.equal(known, companion)), companion)
        self.entries[_name(edit)] = companion, steps
        self.entries.move_to_end(_name(edit))
        while len(self.entries) > LIMIT:
            self.entries.popitem(last=False)

    def find(self, latent: Tensor) -> tuple[Tensor, int] | None:
        """The companion and the number of predictions of a latent, if a run left it."""
        return self.entries.get(_name(latent))


def _name(latent: Tensor) -> tuple:
    """Of a latent, in 32 bits as in 16."""
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
    photo, region = like(photo, latent), like(region, latent)
    if latent.shape[1:] != photo.shape[1:]:
        raise ValueError(
            f"The sampler's latent is {_size(latent)}, but Keep Photo holds a photo of {_size(photo)}: give the "
            "sampler the photo's own latent. For a second pass at another size, encode the photo at that size for a "
            "Keep Photo of its own, or use the MODEL that went into Keep Photo."
        )
    photos = photo.expand_as(latent)
    if not noise.any():
        companion, steps = unfinished.find(latent) or (latent, 0)
        return latent, companion.to(latent), steps
    if (latent == latent[..., :1, :1]).all():  # an empty latent
        return photos, photos, 0
    kept = (region == 0).expand_as(latent)
    if kept.any() and (latent - photos)[kept].square().mean().sqrt() > RELATED * photo.std():
        raise ValueError(
            "The sampler's latent is another picture than the photo that Keep Photo holds: give the sampler the "
            "photo's own latent, or use the MODEL that went into Keep Photo."
        )
    return latent, photos, 0


def _size(latent: Tensor) -> str:
    height, width = latent.shape[-2:]
    return f"{latent.shape[1]} channels of {width} x {height}"
