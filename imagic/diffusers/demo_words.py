"""Captions as CLIP's token ids, without CLIP's tokenizer: every word the model knows is one token there."""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import torch
from torch import Tensor

from ..checks import shown

# A wheel has the weights beside this file. In a clone they are where the nodes and their training have them.
_IN_WHEEL = Path(__file__).parent / "demo_model"
MODEL = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).parents[2] / "demo" / "model"
_VOCABULARY = json.loads((MODEL / "vocabulary.json").read_text())

VOCABULARY_SIZE = 49408
START, END, LENGTH = 49406, 49407, 77

# The id of "!", a word no caption uses: stands for all the words the model has not learnt.
UNKNOWN = 0

# Every id with an embedding of its own; all others share one.
TOKEN_IDS = (START, END, *sorted(_VOCABULARY.values()))

# Of each kind of words that the model knows.
EXAMPLES = "dog, cat, rabbit, bird, blue, jumping, hat, scarf, snow or beach"
MOST_NAMED = 5


def warn_of_unknown(words: Iterable[str]) -> None:
    """Warns of words that the model has not learnt: all of them are one to it."""
    unknown = [shown(word) for word in dict.fromkeys(words) if word not in _VOCABULARY]
    if unknown:
        named = ", ".join(unknown[:MOST_NAMED]) + (" and more" if len(unknown) > MOST_NAMED else "")
        warnings.warn(f"The demo model does not know {named}: use words such as {EXAMPLES}.", stacklevel=2)


def split(text: str) -> list[str]:
    return text.lower().replace(",", " ").replace(".", " ").split()


def encode(text: str) -> list[int]:
    """CLIP's ids for `text`: start, words, and ends up to a length of 77."""
    ids = [START, *(_VOCABULARY.get(word, UNKNOWN) for word in split(text))][: LENGTH - 1]
    return ids + [END] * (LENGTH - len(ids))


class Tokenizer:
    """As much of `transformers.CLIPTokenizer` as a diffusers pipeline calls."""

    model_max_length = LENGTH
    added_tokens_encoder: ClassVar[dict[str, int]] = {}  # of textual inversions, of which there are none

    def tokenize(self, text: str) -> list[str]:
        words = split(text)
        warn_of_unknown(words)  # here, since pipelines ask for this once a text
        return words

    def __call__(self, text: str | list[str], **_) -> SimpleNamespace:
        ids: Tensor = torch.tensor([encode(t) for t in ([text] if isinstance(text, str) else text)])
        return SimpleNamespace(input_ids=ids, attention_mask=torch.ones_like(ids))
