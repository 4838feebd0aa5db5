"""Damaged files, wrong structure under the right checksum, and files made to take long: one sentence each, at once."""

import json
import os
import struct
import time

import pytest
import torch

from imagic import edit_file
from imagic.edit_file import Edit, NotAnEdit
from imagic.fingerprint import Fingerprint
from tests import mutations

GIB = 2**30


@pytest.fixture
def edit():
    torch.manual_seed(0)
    return Edit(
        optimized={"cross_attn": torch.randn(1, 7, 8), "pooled_output": torch.randn(1, 4)},
        anchor={"cross_attn": torch.randn(1, 7, 8)},
        update={
            "a.lora_up.weight": torch.randn(6, 2),
            "a.lora_down.weight": torch.randn(2, 6),
            "a.alpha": torch.tensor(2.0),
        },
        preview=torch.zeros(4, 5, 3, dtype=torch.uint8),
        base=Fingerprint("kind", torch.randn(8)),
        about={"base": "model.safetensors", "settings": [{"steps": 3}], "optimized": {"width": 64}, "anchor": {}},
    )


@pytest.mark.parametrize("as_lora", [False, True])
def test_no_damage_is_accepted_that_changes_what_is_read(edit, tmp_path, as_lora):
    path = tmp_path / "x.safetensors"
    edit_file.save(edit, path, as_lora=as_lora)
    whole, refused = path.read_bytes(), 0
    expected = edit_file.load(path)
    for other in mutations.changed(whole, 500, seed=16):
        path.write_bytes(other)
        started = time.monotonic()
        try:
            assert mutations.same(edit_file.load(path), expected)
        except NotAnEdit as error:
            assert str(error).startswith("x.safetensors ")  # noqa: PT017 - some files are accepted
            refused += 1
        assert time.monotonic() - started < 5
    assert refused > 400


def test_wrong_structure_is_refused_under_the_right_checksum(edit, tmp_path):
    path = tmp_path / "x.safetensors"
    edit_file.save(edit, path)
    accepted = []
    for name, other in mutations.wrong(path.read_bytes(), edit_file):
        path.write_bytes(other)
        try:
            edit_file.load(path)
        except NotAnEdit:
            continue
        accepted.append(name)
    assert accepted == []


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("update", {}),
        ("update", {"a": torch.zeros(2)}),
        ("update", {"a.diff": torch.full((2, 2), float("nan"))}),
        ("preview", torch.zeros(4, 5, 3)),
        ("optimized", {}),
        ("about", {"base": "x", "settings": [float("nan")], "anchor": {"a": float("nan")}}),
    ],
)
def test_nothing_is_saved_that_load_would_refuse(edit, tmp_path, part, value):
    setattr(edit, part, value)
    with pytest.raises(ValueError, match=r"\.$"):
        edit_file.save(edit, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def with_header(path, header: bytes, size: int) -> None:
    """A file of a size, of which the disk holds the header only."""
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)


def at_once(path, sentence: str, parameters: int = 0) -> None:
    started = time.monotonic()
    with pytest.raises(NotAnEdit, match=sentence):
        edit_file.load(path, parameters)
    assert time.monotonic() - started < 1


def test_a_million_tensors_are_refused_at_once(tmp_path):
    path = tmp_path / "x.safetensors"
    told = {"imagic edit": "{}"}
    entries = ",".join(f'"{n}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for n in range(1_200_000))
    with_header(path, f'{{"__metadata__":{json.dumps(told)},{entries}}}'.encode(), 0)
    at_once(path, r"^x.safetensors holds more than an edit can: choose")


@pytest.mark.parametrize("parameters", [0, 10**10])  # the second has room for so much
@pytest.mark.parametrize("name", ["preview", "base", "anchor/cross_attn", "update/a.diff", "update/a.lora_up.weight"])
def test_a_tensor_of_gigabytes_is_refused_before_it_is_read(edit, tmp_path, name, parameters):
    path = tmp_path / "x.safetensors"
    edit_file.save(edit, path)
    whole = path.read_bytes()
    length = 8 + struct.unpack("<Q", whole[:8])[0]
    header, end = json.loads(whole[8:length]), len(whole) - length
    if name in header:  # what was there is another's now, since the format leaves no gaps
        header["update/b.diff"] = header[name]
    header[name] = {"dtype": "F32", "shape": [6 * GIB // 4], "data_offsets": [end, end + 6 * GIB]}
    with_header(path, json.dumps(header).encode(), end + 6 * GIB)
    at_once(path, r"^x.safetensors (is damaged|holds more)", parameters)


def test_a_long_list_in_the_metadata_is_refused_at_once(edit, tmp_path):
    path = tmp_path / "x.safetensors"
    header = json.dumps({"__metadata__": {"imagic edit": f"[{'0,' * 20_000_000}0]"}})
    with_header(path, header.encode(), 0)
    at_once(path, "holds more than an edit can")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.safetensors")
    at_once(tmp_path / "x.safetensors", "is damaged")
