"""A saved edit is read back exactly, or refused in one sentence."""

import contextlib
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from imagic import edit_file
from imagic.edit_file import Edit, NotAnEdit
from imagic.fingerprint import Fingerprint, fingerprint
from tests import mutations


@pytest.fixture(autouse=True)
def as_the_host_runs_nodes():
    with torch.inference_mode():
        yield


@pytest.fixture
def edit():
    tokens = torch.randn(1, 77, 8)
    return Edit(
        optimized={"cross_attn": tokens, "pooled_output": torch.randn(1, 4)},
        anchor={"cross_attn": tokens.half()},
        update={
            "a.lora_up.weight": torch.randn(2, 6).T,
            "a.lora_down.weight": torch.randn(2, 6).bfloat16(),
            "a.alpha": torch.tensor(2.0),
        },
        preview=torch.zeros(4, 5, 3, dtype=torch.uint8),
        base=Fingerprint("kind", torch.randn(8)),
        about={"base": "model.safetensors", "settings": [{"steps": 3}], "optimized": {"width": 64}},
    )


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) and a[n].dtype == b[n].dtype for n in a)


def test_what_was_saved_comes_back_bit_by_bit(edit, tmp_path):
    edit_file.save(edit, tmp_path / "x.safetensors")
    loaded = edit_file.load(tmp_path / "x.safetensors")
    for group in ("optimized", "anchor", "update"):
        assert same(getattr(loaded, group), getattr(edit, group))
    assert torch.equal(loaded.preview, edit.preview)
    assert loaded.about == edit.about
    assert loaded.base.same_weights(edit.base)


@pytest.mark.parametrize("as_lora", [False, True])
def test_the_same_edit_is_the_same_bytes(edit, tmp_path, as_lora):
    for name in "ab":
        edit_file.save(edit, tmp_path / name, as_lora=as_lora)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_saved_as_a_lora_it_has_the_updates_tensors_only_and_loses_nothing(edit, tmp_path):
    path = tmp_path / "x.safetensors"
    edit.photo = torch.randn(1, 4, 2, 2)
    edit_file.save(edit, path, as_lora=True)
    assert same(load_file(path), edit.update)
    loaded = edit_file.load(path)
    for group in ("optimized", "anchor", "update"):
        assert same(getattr(loaded, group), getattr(edit, group))
    assert torch.equal(loaded.photo, edit.photo)
    assert torch.equal(loaded.preview, edit.preview)
    assert loaded.about == edit.about


def test_a_change_in_what_a_lora_carries_is_noticed(edit, tmp_path):
    path = tmp_path / "x.safetensors"
    edit_file.save(edit, path, as_lora=True)
    whole = path.read_bytes()
    start = whole.index(b"rest") + 20
    for position in range(start, start + 4000, 97):
        other = b"A" if whole[position : position + 1] != b"A" else b"B"
        path.write_bytes(whole[:position] + other + whole[position + 1 :])
        with pytest.raises(NotAnEdit, match="is damaged"):
            edit_file.load(path)


def test_every_truncation_is_noticed(edit, tmp_path):
    path = tmp_path / "x.safetensors"
    edit_file.save(edit, path)
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(NotAnEdit, match=r"^x.safetensors is damaged or incomplete: copy or save it again\.$"):
            edit_file.load(path)


def test_every_changed_byte_of_the_contents_is_noticed(edit, tmp_path):
    path = tmp_path / "x.safetensors"
    edit_file.save(edit, path)
    whole = path.read_bytes()
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    for position in range(start, len(whole), 97):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(NotAnEdit, match="is damaged"):
            edit_file.load(path)


@pytest.mark.parametrize("as_lora", [False, True])
def test_every_changed_byte_of_the_metadata_is_noticed_or_read_as_before(edit, tmp_path, as_lora):
    path = tmp_path / "x.safetensors"
    edit_file.save(edit, path, as_lora=as_lora)
    whole, accepted = path.read_bytes(), 0
    expected = edit_file.load(path)
    start = whole.index(b"imagic edit")
    for position in range(start, whole.index(b"checksum")):
        for bit in (0, 1, 5):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << bit]) + whole[position + 1 :])
            with contextlib.suppress(NotAnEdit):
                assert mutations.same(edit_file.load(path), expected)
                accepted += 1
    assert accepted < 30  # blanks between words of JSON that are another blank now


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_the_versions_before_are_read(version):
    """As they were written before the checksum covered the metadata."""
    loaded = edit_file.load(Path(__file__).parent / "edits" / f"version_{version}.safetensors")
    assert loaded.about["base"] == "model.safetensors"
    assert loaded.about["optimized"] == {"width": 64}
    assert torch.equal(loaded.optimized["cross_attn"], torch.full((1, 3, 4), 0.5))
    assert torch.equal(loaded.update["a.lora_down.weight"], torch.full((2, 6), 3.0).bfloat16())
    assert loaded.preview.shape == (4, 5, 3)
    assert (loaded.photo is None) == (version == 1)


@pytest.mark.parametrize("version", [1, 2])
def test_contents_of_the_versions_before_are_still_checked(tmp_path, version):
    path = tmp_path / "x.safetensors"
    whole = (Path(__file__).parent / "edits" / f"version_{version}.safetensors").read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(NotAnEdit, match="is damaged"):
        edit_file.load(path)


def test_foreign_files_are_named_as_such(edit, tmp_path):
    lora = tmp_path / "lora.safetensors"
    save_file(edit.anchor, lora)
    with pytest.raises(NotAnEdit, match=r"lora.safetensors is not an edit: choose"):
        edit_file.load(lora)
    pickle = tmp_path / "pickle.safetensors"
    torch.save({"a": torch.zeros(1)}, pickle)
    with pytest.raises(NotAnEdit, match="is damaged"):
        edit_file.load(pickle)
    with pytest.raises(NotAnEdit, match="no longer there"):
        edit_file.load(tmp_path / "none.safetensors")
    with pytest.raises(NotAnEdit, match="is damaged"):
        edit_file.load(tmp_path)


def test_a_file_of_a_later_version_asks_for_an_update(edit, tmp_path, monkeypatch):
    monkeypatch.setattr(edit_file, "VERSION", 5)
    edit_file.save(edit, tmp_path / "x")
    monkeypatch.undo()
    with pytest.raises(NotAnEdit, match="later version of Imagic: update"):
        edit_file.load(tmp_path / "x")


def network(seed: int, width: int = 16) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {f"blocks.{n}.weight": torch.randn(width, 16, generator=generator) / 4 for n in range(100)}


def of(weights):
    return fingerprint({name: weight.shape for name, weight in weights.items()}, weights.__getitem__)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_fingerprint_knows_its_weights_in_any_precision_and_order(dtype):
    weights = network(0)
    other = {name: weights[name].to(dtype) for name in reversed(weights)}
    assert of(weights).same_weights(of(other | {"blocks.0.bias": torch.zeros(16)}))


def test_a_fingerprint_tells_fine_tunes_and_kinds_apart():
    weights = network(0)
    noise = network(1)
    tuned = {name: weight + 0.05 * noise[name] for name, weight in weights.items()}
    assert of(weights).same_kind(of(tuned))
    assert not of(weights).same_weights(of(tuned))
    wider = of(network(0, width=32))
    assert not of(weights).same_kind(wider)
    assert not of(weights).same_weights(wider)
