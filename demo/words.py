"""Captions as CLIP's token ids: the package's, which tokenizes for the installed demo model too."""

from imagic.diffusers.demo_words import (
    END,
    LENGTH,
    START,
    TOKEN_IDS,
    UNKNOWN,
    VOCABULARY_SIZE,
    Tokenizer,
    encode,
    split,
)

__all__ = [
    "END",
    "FLOW_LENGTH",
    "LENGTH",
    "START",
    "TOKEN_IDS",
    "UNKNOWN",
    "VOCABULARY_SIZE",
    "Tokenizer",
    "encode",
    "split",
]

FLOW_LENGTH = 24  # of texts for the flow model: every token is one more for its joint attention
