"""Captions as CLIP's token ids, without CLIP's tokenizer: every word the model knows is one token there."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import torch
from torch import Tensor

_VOCABULARY = json.loads((Path(__file__).parent / "model" / "vocabulary.json").read_text())

VOCABULARY_SIZE = 49408
START, END, LENGTH = 49406, 49407, 77
FLOW_LENGTH = 24  # of texts for the flow model: every token is one more for its joint attention

# The id of "!", a word no caption uses: stands for all the words the model has not learnt.
UNKNOWN = 0

# Every id with an embedding of its own; all others share one.
TOKEN_IDS = (START, END, *sorted(_VOCABULARY.values()))


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
        return split(text)

    def __call__(self, text: str | list[str], **_) -> SimpleNamespace:
        ids: Tensor = torch.tensor(
            [encode(t, self.model_max_length) for t in ([text] if isinstance(text, str) else text)]
        )
        return SimpleNamespace(input_ids=ids, attention_mask=torch.ones_like(ids))
