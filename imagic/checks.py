"""Checks of what comes in, for nodes and `imagic.diffusers` alike: one sentence that says what to change.

Every function here gives the value back in the type that its name says, or raises a ValueError. PyTorch is not
imported, which takes seconds: the command refuses a wrong option at once.
"""

import math
import sys
from collections.abc import Collection
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 60  # characters of a value that a sentence repeats
SEEDS = (0, 2**64 - 1)
# As the nodes' widgets have them: strength, what is kept of a change, guidance, steps of the sampler.
ETA, THRESHOLD, GUIDANCE, STEPS = (-2, 3), (0, 0.95), (0, 100), (1, 1000)


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number in low..high."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} is {shown(value)}: set it to a number{_between(low, high)}.")
    if not (low <= value <= high and abs(value) <= sys.float_info.max):
        raise ValueError(f"{name} is {shown(value)}: set it{_between(low, high) or ' to a finite number'}.")
    return float(value)


def integer(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> int:
    """A whole number in low..high."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} is {shown(value)}: set it to a whole number{_between(low, high)}.")
    if not low <= value <= high:
        raise ValueError(f"{name} is {shown(value)}: set it{_between(low, high)}.")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that merely counts as one of them."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {shown(value)}: set it to true or false.")
    return value


def choice(name: str, value: Any, choices: Collection[str]) -> str:
    """One of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {shown(value)}: choose one of {', '.join(choices)}.")
    return value


def text(name: str, value: Any) -> str:
    """A text, which may be empty."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is {shown(value)}: give it a text.")
    return value


def finite(what: str, values: "Tensor", remedy: str) -> "Tensor":
    """Values that are all finite.

    Args:
        what: the subject of the sentence, "The latent" say.
        remedy: what to do, the sentence's end.
    """
    if not values.float().isfinite().all():
        raise ValueError(f"{what} holds NaN or infinite values: {remedy}.")
    return values


def shown(value: Any) -> str:
    """A value as a sentence may repeat it: its contents where they are short, on one line, else its kind and size."""
    if _is_tensor(value):
        return f"a tensor {list(value.shape)}"
    if isinstance(value, bool | str | None):
        return quoted(repr(value))
    if isinstance(value, Integral) and abs(int(value)) >= 10**LONGEST:
        return "a number too large"
    if isinstance(value, Real):
        short = f"{value:g}"  # where nothing is lost by it
        return short if float(short) == value or value != value else repr(value)
    return f"of type {type(value).__name__}"


def quoted(words: str) -> str:
    """Words of a file or a user as a sentence may repeat them: on one line, shortened, with no bracket of a tag.

    For pages of old hosts take what an error says as HTML, and newer ones take it as it is, so it cannot be escaped.
    """
    return one_line(words, LONGEST).translate({ord("<"): "‹", ord(">"): "›"})


def one_line(words: str, longest: int) -> str:
    """Words on one line, shortened to so many characters."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")  # which whoever has a tensor has imported
    return torch is not None and isinstance(value, torch.Tensor)


def _between(low: float, high: float) -> str:
    return "" if math.isinf(low) and math.isinf(high) else f" between {shown(low)} and {shown(high)}"
