"""Another place: what of the photo an edit of the whole picture may change without touching its subject."""

import torch
from torch import Tensor

from .change import local_size
from .denoiser import Conditioning, is_text

# Another style changes the subject, too: by a larger share of what the text says there, for each unit by which the two
# kinds of positions differ. Of 114 edits on an epsilon UNet and a flow transformer, seven are taken for the wrong kind.
STYLE = 0.06
# The soft edge between subject and place, in distances of their means from the subject's.
KEPT, FREE = -0.5, 0.3
POSITIONS = 2**20  # are enough to tell two kinds apart


def silent(text: Conditioning) -> Conditioning:
    """No text at all, for models without an empty one, too: zeros, as ComfyUI's ConditioningZeroOut gives them."""
    return {name: torch.zeros_like(tensor) if is_text(name, tensor) else tensor for name, tensor in text.items()}


def place_region(wanted: Tensor, there: Tensor, untold: Tensor) -> Tensor:
    """Where an edit of the whole picture may change the photo: all of it, or all but its subject.

    A text says most about the subject, and the target text says that again. So positions are of two kinds, told by
    sqrt(change) / said^2, the mean of its logarithm over noise levels: how much the target changes, and how much the
    embedding says. The kind with the smaller values is the subject. In distances of the two means from the subject's, a
    position is kept to the end at `KEPT` and free from the start at `FREE`; what lies between is let go the earlier the
    nearer it is to the place (see `keeping.let_go`), since the subject's edge belongs to both.

    If even the subject changes much, all is free: the edit is one of the style.

    Args:
        wanted, there, untold: clean latents predicted at several noise levels under the target text, the optimized
            embedding and `silent`, each [N, C, ...].

    Returns:
        [1, 1, ...], 0..1.
    """
    tiny = torch.finfo(there.dtype).tiny
    pairs = (wanted, there), (there, untold), (wanted, untold)
    change, said, to_say = (local_size(a - b).clamp_min(tiny) for a, b in pairs)
    freedom = (0.5 * change.log() - 2 * said.log()).mean(0, keepdim=True)
    disagreement = (change / said.hypot(to_say)).square().mean(0, keepdim=True)
    subject, place = two_kinds(freedom)
    apart = place - subject
    if apart == 0 or disagreement[freedom <= subject].mean() > STYLE * apart:
        return torch.ones_like(freedom)
    return (((freedom - subject) / apart - KEPT) / (FREE - KEPT)).clamp(0, 1)


def two_kinds(values: Tensor) -> tuple[float, float]:
    """The means of the smaller and of the larger values, parted where they differ most (Otsu, 1979)."""
    values = values.flatten()
    # On the CPU, since not every device counts in double precision.
    values = values[:: len(values) // POSITIONS + 1].cpu().double().sort().values
    if len(values) == 1:
        return values.item(), values.item()
    count = torch.arange(1, len(values))
    total = values.cumsum(0)
    smaller = total[:-1] / count
    larger = (total[-1] - total[:-1]) / (len(values) - count)
    best = (count * (len(values) - count) * (larger - smaller).square()).argmax()
    return smaller[best].item(), larger[best].item()
