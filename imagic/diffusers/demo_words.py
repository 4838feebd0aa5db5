"""Captions as CLIP's token ids, without CLIP's tokenizer: every word the model knows is one token there."""

import json
import warnings
from collections.abc import Iterable
from types import SimpleNamespace
from typing import ClassVar

import torch
from torch import Tensor

from ..checks import shown
from ..model_name import DEMO_FOLDER as MODEL

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


def encode(text: str, length: int = LENGTH) -> list[int]:
    """CLIP's ids for `text`: start, words, and ends up to `length`."""
    ids = [START, *(_VOCABULARY.get(word, UNKNOWN) for word in split(text))][: length - 1]
    return ids + [END] * (length - len(ids))


class Tokenizer:
    """As much of `transformers.CLIPTokenizer` as a diffusers pipeline calls."""

    added_tokens_encoder: ClassVar[dict[str, int]] = {}  # of textual inversions, of which there are none

    def __init__(self, length: int = LENGTH):
        self.model_max_length = length

    def tokenize(self, text: str) -> list[str]:
        words = split(text)
        warn_of_unknown(words)  # here, since pipelines ask for this once a text
        return words

    def __call__(self, text: str | list[str], **_) -> SimpleNamespace:
        texts = [text] if isinstance(text, str) else text
        ids: Tensor = torch.tensor([encode(each, self.model_max_length) for each in texts])
        return SimpleNamespace(input_ids=ids, attention_mask=torch.ones_like(ids))
