"""Damaged edit files, the same ones from the same seed: changed anywhere, and wrong with the right checksum."""

import json
import random
import struct
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

Parts = tuple[dict[str, Any], dict[str, Tensor]]  # what a file tells of itself, and its tensors
NAN = float("nan")


def same(one: Any, other: Any) -> bool:
    """Whether two edits agree in all that is read of a file."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return all(map(same, vars(one).values(), vars(other).values())) if hasattr(one, "__dict__") else one == other


def changed(whole: bytes, count: int, seed: int) -> Iterator[bytes]:
    """A file with bytes flipped, cut, put in, zeroed or moved: half of them in its header."""
    choose = random.Random(seed)
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for number in range(count):
        at = choose.randrange(header if number % 2 else len(whole))
        length = choose.choice((1, 2, 8, 100, 5000))
        before, part, after = whole[:at], whole[at : at + length], whole[at + length :]
        match choose.randrange(8):
            case 0 | 1 | 2:
                yield before + bytes([part[0] ^ 1 << choose.randrange(8)]) + part[1:] + after
            case 3:
                yield before
            case 4:
                yield before + after
            case 5:
                yield before + choose.randbytes(length) + part + after
            case 6:
                yield before + bytes(len(part)) + after
            case 7:
                digits = [at for at in range(8, header) if whole[at : at + 1].isdigit()]
                at = choose.choice(digits)
                yield whole[:at] + str(choose.randrange(10)).encode() + whole[at + 1 :]


def wrong(whole: bytes, edit_file: ModuleType) -> Iterator[tuple[str, bytes]]:
    """Names and contents of files with the right checksum whose structure no edit has.

    Args:
        whole: a file in the layout that Save Imagic Edit writes.
        edit_file: the module that wrote it.
    """
    length = 8 + struct.unpack("<Q", whole[:8])[0]
    text = json.loads(whole[8:length])["__metadata__"][edit_file.FORMAT]
    for name, change in {**TENSORS, **TOLD}.items():
        header, tensors = json.loads(text), from_bytes(whole)
        change(header, tensors)
        header["checksum"] = edit_file._checksum({k: v for k, v in header.items() if k != "checksum"}, tensors)
        yield name, to_bytes(tensors, {edit_file.FORMAT: json.dumps(header)})
    lists, dicts = "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000
    for name, other in (
        ("3,000 lists in each other", lists),
        ("3,000 dicts in each other", dicts),
        ("3,000 lists in the settings", text.replace('"settings": [', f'"settings": [{lists},')),
        ("no JSON", "version 3"),
        ("a list", "[]"),
        ("a number", "3"),
        ("no checksum", json.dumps({**json.loads(text), "checksum": None})),
        ("a number of 5,000 digits", text.replace('"version": 3', f'"version": 3{"0" * 5000}')),
    ):
        assert other != text
        yield name, to_bytes(from_bytes(whole), {edit_file.FORMAT: other})


def _put(name: str, value: Any) -> Callable[[dict, dict], None]:
    """Set a value of what the file tells, "about/base" say; ... takes it out."""

    def change(header: dict, tensors: dict) -> None:
        *way, last = name.split("/")
        for step in way:
            header = header[step]
        header[last] = value
        if value is ...:
            del header[last]

    return change


def _tensor(name: str, make: Callable[[Tensor], Tensor | None]) -> Callable[[dict, dict], None]:
    """Change the first tensor with such an end of its name, or take it out."""

    def change(header: dict, tensors: dict) -> None:
        key = next(key for key in sorted(tensors) if key.endswith(name))
        value = make(tensors.pop(key))
        if value is not None:
            tensors[key] = value.contiguous()

    return change


def _no_lora(header: dict, tensors: dict) -> None:
    for key in [key for key in tensors if key.startswith("update/")]:
        del tensors[key]


def _deep(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


MAKES: dict[str, Callable[[Tensor], Tensor | None]] = {
    "is missing": lambda tensor: None,
    "is empty": lambda tensor: tensor.flatten()[:0],
    "is of integers": lambda tensor: tensor.to(torch.int32),
    "has one axis": lambda tensor: tensor.new_ones(3),
    "has six axes": lambda tensor: tensor.reshape(1, 1, 1, 1, 1, -1),
}
NOT_FINITE: dict[str, Callable[[Tensor], Tensor]] = {
    "is NaN": lambda tensor: torch.full_like(tensor, NAN),
    "has one NaN": lambda tensor: torch.cat([tensor.flatten()[1:], tensor.new_tensor([NAN])]).view(tensor.shape),
    "is infinite": lambda tensor: tensor / 0,
}
FLOATS = "optimized/cross_attn", "anchor/cross_attn", "lora_up.weight", "lora_down.weight"
TENSORS = {f"{name} {how}": _tensor(name, make) for name in FLOATS for how, make in {**MAKES, **NOT_FINITE}.items()}
TENSORS |= {f"base {how}": _tensor("base", make) for how, make in NOT_FINITE.items()}
TENSORS |= {f"base {how}": _tensor("base", MAKES[how]) for how in ("is missing", "is empty", "is of integers")}
TENSORS |= {f"preview {how}": _tensor("preview", make) for how, make in MAKES.items()}
TENSORS |= {f"alpha {how}": _tensor(".alpha", make) for how, make in NOT_FINITE.items() if how != "has one NaN"}
TENSORS |= {
    "alpha is three numbers": _tensor(".alpha", lambda tensor: tensor.new_ones(3)),
    "no LoRA": _no_lora,
    "tokens of two texts": _tensor("optimized/cross_attn", lambda tensor: tensor.repeat(2, 1, 1)),
    "up of another rank": _tensor("lora_up.weight", lambda tensor: tensor[:, :1]),
    "down of another rank": _tensor("lora_down.weight", lambda tensor: tensor[:1]),
    "preview of floats": _tensor("preview", lambda tensor: tensor.float()),
    "preview of four channels": _tensor("preview", lambda tensor: torch.cat([tensor, tensor[..., :1]], -1)),
    "preview of 2,000 pixels": _tensor("preview", lambda tensor: tensor.new_zeros(2000, 4, 3)),
    "base of 5,000 values": _tensor("base", lambda tensor: tensor.new_zeros(5000)),
    "base of two axes": _tensor("base", lambda tensor: tensor[None]),
    "photo is NaN": lambda header, tensors: tensors.update(photo=torch.full((1, 4, 2, 2), NAN)),
    "photo has two axes": lambda header, tensors: tensors.update(photo=torch.ones(2, 2)),
}
VALUES = None, ..., 3, 1.5, True, [], [1], {"a": 1}
TOLD = {f"{name} = {value!r}": _put(name, value) for name in ("base", "about/base") for value in VALUES}
TOLD |= {f"about = {value!r}": _put("about", value) for value in (None, ..., 3, True, "x", [], [1], {})}
TOLD |= {
    f"version = {value!r}": _put("version", value)
    for value in (None, ..., "3", True, 0, -1, 1, 2, 3.0, 1.5, [], {}, 10**30, NAN)
}
TOLD |= {
    f"about/{part} = {value!r}": _put(f"about/{part}", value)
    for part in ("optimized", "anchor")
    for value in (None, 3, "x", [], ["a"], {"a": NAN}, {"a": [1]}, {"a": {"b": 1}}, {"a": float("inf")})
}
TOLD |= {
    f"about/{part}/guidance = {str(value)[:9]}": _put(f"about/{part}", {"guidance": value})
    for part in ("optimized", "anchor")
    for value in ("x", -1, 101, True, 10**400)
}
TOLD |= {
    f"about/size = {value!r}": _put("about/size", value) for value in (None, "x", [3], [0, 1], [1.5, 2], [1, 2, 3])
}
TOLD |= {f"about/settings = {value!r}": _put("about/settings", value) for value in (None, 3, "x", ["x"], {"a": 1})}
TOLD |= {f"{levels} lists in each other": _put("about/settings", _deep(levels)) for levels in (60, 300, 500)}
TOLD |= {
    f"about/{name} = {value!r}": _put(f"about/{name}", value) for name in ("text", "pipeline") for value in (3, [])
}
