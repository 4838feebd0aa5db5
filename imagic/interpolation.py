"""Stage C: move from the optimized embedding towards the target's (arXiv 2210.09276, Eq. 3)."""

import math

import torch
from torch import Tensor

from .denoiser import Conditioning, is_text

# The most that two prompts grow to by repeating, in lengths of the longer one: more costs more than it keeps.
MAX_REPEATS = 4


def interpolate(optimized: Conditioning, target: Conditioning, eta: float) -> Conditioning:
    """The conditioning `eta` of the way from `optimized` (0) to `target` (1); beyond 0..1 it extrapolates.

    Prompts of unequal length are brought to a common one first, see `match_lengths`. Masks become the union of both.
    What only one side has is taken from it.

    Raises:
        ValueError: the two come from different text encoders.
    """
    result = {**optimized, **target}
    for name in optimized.keys() & target.keys():
        end = target[name]
        start = optimized[name].to(end.device)
        widths_differ = is_text(name, end) and start.shape[-1] != end.shape[-1]
        if start.ndim != end.ndim or len(start) != len(end) or widths_differ:
            raise ValueError(
                f"The optimized and the target conditioning do not fit together: {name} is {list(start.shape)} and "
                f"{list(end.shape)}. Encode both texts with the text encoder of the same checkpoint."
            )
        if start.shape != end.shape:
            start, end = match_lengths(start, end)
        if is_text(name, end):
            result[name] = torch.lerp(start.float(), end.float(), eta).to(end.dtype)
        else:
            result[name] = torch.maximum(start.to(end.dtype), end)
    return result


def match_lengths(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two sequences of unequal length to the same one, without inventing content.

    They are masks [1, tokens] or texts [1, ..., tokens, width].

    Each is repeated to their least common multiple: cross-attention over a sequence repeated k times gives what it
    gives over the sequence, so both ends of the interpolation stay exactly what they were, where zero padding would
    put keys into the softmax that no text encoder ever produced. (Where text and image attend to each other jointly,
    the repeats weigh more; texts of equal length avoid it.) Where that takes too many repeats, the shorter one is
    extended by its last token, which is the text encoder's own padding.
    """
    dim = max(1, a.ndim - 2)
    common = math.lcm(a.shape[dim], b.shape[dim])
    longest = max(a.shape[dim], b.shape[dim])
    if common <= MAX_REPEATS * longest:
        return _repeat(a, common, dim), _repeat(b, common, dim)
    return _extend(a, longest, dim), _extend(b, longest, dim)


def _repeat(x: Tensor, length: int, dim: int) -> Tensor:
    return torch.cat([x] * (length // x.shape[dim]), dim)


def _extend(x: Tensor, length: int, dim: int) -> Tensor:
    last = x.narrow(dim, x.shape[dim] - 1, 1)
    return torch.cat([x, *[last] * (length - x.shape[dim])], dim)
