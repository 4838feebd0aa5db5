"""Equal digests mean equal contents."""

from enum import Enum

import numpy as np
import pytest
import torch

from imagic.digest import NotComparable, digest


class Colour(Enum):
    RED = 1
    BLUE = 2


class Odd(torch.Tensor):
    """A class of tensors that says beside its bytes what they stand for, as GGUF's does."""


def odd(meaning) -> torch.Tensor:
    tensor = torch.arange(4, dtype=torch.uint8).as_subclass(Odd)
    tensor.meaning = meaning
    return tensor


VALUES = [
    *(None, True, False, 1, 1.0, "1", b"1", 0.0, -0.0, float("nan"), 2**70, "", [], (), {}, set(), [[]], [None]),
    *([1, 2], [2, 1], (1, 2), {1, 2}, {1: 2}, {2: 1}, {"1": 2}, ["a", "b"], ["a, b"], ["a", "b", ""]),
    *(torch.float16, torch.bfloat16, torch.device("cpu"), torch.device("cuda"), Colour.RED, Colour.BLUE),
    *(torch.zeros(2, 2), torch.zeros(4), torch.zeros(2, 2, dtype=torch.int32), torch.tensor(0.0), torch.zeros(0)),
    *(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0]), torch.tensor([1.0, 2.0 + 3e-7]), -torch.zeros(2, 2)),
    *([torch.zeros(1), torch.ones(1)], [torch.ones(1), torch.zeros(1)], odd(1), odd(2)),
    *(torch.zeros(4, dtype=dtype) for dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.bool)),
]


def test_different_contents_have_different_digests():
    assert len({digest(value) for value in VALUES}) == len(VALUES)


def test_the_same_contents_have_the_same_digest_however_they_came_about():
    whole = torch.randn(6, 4)
    with torch.inference_mode():
        made_in_inference = whole.clone()
    same = [whole, whole.clone(), whole.t().contiguous().t(), torch.nn.Parameter(whole).detach(), made_in_inference]
    assert len(set(map(digest, same))) == 1
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(np.float64(0.1)) == digest(0.1)
    assert digest(torch.Size([2, 3])) == digest((2, 3))


@pytest.mark.parametrize(
    "value",
    [lambda: 0, object(), np.float32(1), [print], {"a": object()}, torch.zeros(2).to_sparse(), odd(object())],
    ids=["function", "object", "scalar", "list", "dict", "sparse", "tensor with an object"],
)
def test_what_cannot_be_read_has_no_digest(value):
    with pytest.raises(NotComparable):
        digest(value)
