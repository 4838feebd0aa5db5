"""Damaged files and files that no edit is, through Load Imagic Edit."""

import time

import pytest
import torch

from tests import mutations

CHANGED = 400


def test_damaged_files_end_in_one_sentence(studio, save, load, output, figures, tmp_path):
    edit_file, name = studio.module("imagic.edit_file"), save()
    path = output / name
    whole, expected = path.read_bytes(), edit_file.load(path)
    changed = [("changed", content) for content in mutations.changed(whole, CHANGED, seed=33)]
    wrong = [*mutations.wrong(whole, edit_file), *for_another_model(whole, edit_file, tmp_path / name)]
    internal, accepted, slow = [], [], []
    for what, content in changed + wrong:
        path.write_bytes(content)
        started = time.monotonic()
        try:
            load(name)
            if what != "changed" or not mutations.same(edit_file.load(path), expected):
                accepted.append(what)
        except ValueError as error:
            if not str(error).startswith(name) or not str(error).endswith(".") or "\n" in str(error):
                internal.append((what, error))
        except Exception as error:
            internal.append((what, error))
        if time.monotonic() - started > 5:
            slow.append(what)
    assert (internal, accepted, slow) == ([], [], [])
    tried = len(changed + wrong)
    assert tried >= 500
    figures |= {"files": tried, "files_internal": len(internal), "files_accepted": len(accepted)}


def for_another_model(whole: bytes, edit_file, path):
    """Names and contents of files that are edits, but with parts that this model has not; made at `path`."""
    for what, change in {
        "tokens of another width": lambda edit: edit.optimized.update(cross_attn=torch.zeros(1, 77, 64)),
        "a text that acts on an area": lambda edit: edit.about["anchor"].update(area="all"),
        "a fingerprint of fewer values": lambda edit: setattr(edit.base, "values", edit.base.values[:3]),
        "another kind": lambda edit: setattr(edit.base, "kind", "x"),
        "a photo of other channels": lambda edit: setattr(edit, "photo", torch.zeros(1, 16, 8, 8)),
        "a photo of a video model": lambda edit: setattr(edit, "photo", torch.zeros(1, 4, 1, 8, 8)),
    }.items():
        path.write_bytes(whole)
        edit = edit_file.load(path)
        change(edit)
        edit_file.save(edit, path)
        yield what, path.read_bytes()


def test_a_sparse_file_of_gigabytes_is_refused_at_once(studio, save, load, output):
    path = output / save()
    with path.open("r+b") as file:
        file.truncate(6 * 2**30)
    started = time.monotonic()
    with pytest.raises(ValueError, match="is damaged"):
        load(path.name)
    assert time.monotonic() - started < 1
