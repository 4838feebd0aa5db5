"""Captions as CLIP's token ids, without CLIP's tokenizer: every word the model knows is one token there."""

import json
from types import SimpleNamespace
from typing import ClassVar

import torch
from torch import Tensor

from ..model_name import DEMO_FOLDER as MODEL

_VOCABULARY = json.loads((MODEL / "vocabulary.json").read_text())

VOCABULARY_SIZE = 49408
START, END, LENGTH = 49406, 49407, 77

# The id of "!", a word no caption uses: stands for all the words the model has not learnt.
UNKNOWN = 0

# Every id with an embedding of its own; all others share one.
TOKEN_IDS = (START, END, *sorted(_VOCABULARY.values()))


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
        return split(text)

    def __call__(self, text: str | list[str], **_) -> SimpleNamespace:
        ids: Tensor = torch.tensor([encode(t) for t in ([text] if isinstance(text, str) else text)])
        return SimpleNamespace(input_ids=ids, attention_mask=torch.ones_like(ids))
