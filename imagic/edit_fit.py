"""Whether an edit that was saved is one of a given model, by what the model's network takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from .denoiser import Conditioning
from .edit import Edit
from .edit_file import NotAnEdit

# How far two latents of one photo may be apart, as a share of the spread of one. Measured with the demo model, over 57
# drawn and real photos: at most 0.17 for one that was saved as JPEG of quality 15, or halved and saved at 75; at least
# 0.54 for another photo.
NEAR = 0.3


@dataclass(frozen=True)
class Takes:
    """What a network takes."""

    channels: int  # of a latent
    dimensions: int = 2  # of a latent beside batch and channels: 3 where there is one for time
    multiple: int = 1  # of a latent's height and width
    widths: Mapping[str, int] = field(default_factory=dict)  # of a text's tensors, as far as they are known


def check_fit(edit: Edit, name: str, takes: Takes) -> None:
    """
    Args:
        name: of the file.

    Raises:
        NotAnEdit: its photo or one of its texts is none that the network takes.
    """
    if edit.photo is not None and not _is_latent(edit.photo, takes):
        raise NotAnEdit(f"{name} holds no photo of this model: save it again.")
    if not reads(edit.optimized, takes.widths) or not reads(edit.anchor, takes.widths):
        raise NotAnEdit(f"{name} holds no text of this model: save it again.")


def reads(text: Conditioning, widths: Mapping[str, int]) -> bool:
    """Whether a text has tensors of these widths, each of one text: [1, tokens, width], others [1, width]."""
    return all(
        key in text
        and text[key].ndim
        and (text[key].shape[0], text[key].shape[-1]) == (1, width)
        and text[key].ndim == (3 if key == "cross_attn" else 2)
        for key, width in widths.items()
    )


def is_same_photo(kept: Tensor, given: Tensor) -> bool:
    """Whether two latents of one shape show the same photo but for what files and sizes make of it."""
    kept, given = kept.cpu().float(), given.cpu().float()
    return float((kept - given).square().mean().sqrt()) <= NEAR * float(kept.std())


def _is_latent(photo: Tensor, takes: Takes) -> bool:
    """Of one picture. One that has no dimension for time may be given to a network that has."""
    *_, height, width = photo.shape
    return (
        photo.shape[1] == takes.channels
        and photo.ndim <= takes.dimensions + 2
        and (photo.ndim < 5 or photo.shape[2] == 1)
        and height % takes.multiple == width % takes.multiple == 0
    )
