"""Pictures of a batch, read and written."""

import io
import os
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from imagic.batch import sources
from imagic.batch.editor import Editor, edit_name, encode, picture, read_file
from imagic.batch.manifest import Row
from imagic.batch.results import DONE
from imagic.batch.settings import Settings
from imagic.diffusers.images import as_picture, as_region
from tests.imagic.test_photo import display_p3


def test_a_photo_in_display_p3_is_read_and_written_in_srgb(tmp_path):
    """Its colours are converted once, and the file does not tell to convert them again."""
    Image.new("RGB", (8, 8), (170, 130, 130)).save(tmp_path / "phone.png", icc_profile=display_p3())
    photo = picture("photo", "phone.png", tmp_path)
    written = Image.open(io.BytesIO(encode(photo, "a.png")))
    assert "icc_profile" not in written.info
    for seen in (photo, as_picture("image", photo), written):
        assert np.abs(np.asarray(seen).astype(int) - (179, 129, 130)).max() <= 2


def test_of_a_mask_what_is_transparent_was_not_painted(tmp_path):
    """Painting programs export a layer so: white where it was painted, and nothing elsewhere."""
    masks = {"layer": Image.new("RGBA", (32, 32), (255, 255, 255, 0)), "painted": Image.new("L", (32, 32))}
    for mask, white in zip(masks.values(), ((255, 255, 255, 255), 255), strict=True):
        mask.paste(white, (0, 0, 16, 16))
    assert torch.equal(*(as_region("mask", mask, torch.zeros(1, 4, 8, 8)) for mask in masks.values()))

    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    settings = Settings("demo", size=32, embedding_steps=1, tuning_steps=1, num_inference_steps=2, scores=True)
    editor, edited = Editor(settings, tmp_path, tmp_path), {}
    for name, mask in {**masks, "everywhere": Image.new("L", (32, 32), 255)}.items():
        row = Row(1, "photo.png", "a dog", mask=f"{name}.png", output="a.png")
        finished = editor.edit(row, encode(Image.fromarray(photo), "photo.png"), encode(mask, row.mask))
        assert finished.result.status == DONE, finished.result.error
        edited[name] = finished.files["a.png"]
    assert edited["layer"] == edited["painted"] != edited["everywhere"]


@pytest.mark.parametrize("trainable", [True, False])
def test_scores_leave_the_network_as_it_was(tmp_path, trainable):
    """Offloading goes by what is trainable: a network that stays frozen stays on the GPU beside the text encoders."""
    settings = Settings("demo", size=32, embedding_steps=1, tuning_steps=1, num_inference_steps=1, scores=True)
    editor = Editor(settings, tmp_path, tmp_path)
    editor._pipeline.unet.requires_grad_(trainable)
    photo = encode(Image.new("RGB", (32, 32), "red"), "photo.png")
    finished = editor.edit(Row(1, "photo.png", "a dog", output="a.png"), photo)
    assert finished.result.status == DONE, finished.result.error
    assert {weight.requires_grad for weight in editor._pipeline.unet.parameters()} == {trainable}


def test_a_replaced_photo_is_learned_anew(tmp_path):
    """One that is put back is not."""
    settings = Settings(
        "demo", size=32, embedding_steps=1, tuning_steps=1, num_inference_steps=1, as_drawn=True, save_edits=True
    )
    row, path = Row(1, "photo.png", "a dog", output="a.png"), tmp_path / "photo.png"
    first, second = (encode(Image.new("RGB", (32, 32), colour), "photo.png") for colour in ("red", "blue"))

    editor = Editor(settings, tmp_path, tmp_path)
    (tmp_path / "edits").mkdir()

    def edited(photo: bytes):
        path.write_bytes(photo)
        finished = editor.edit(row)
        assert finished.result.status == DONE, finished.result.error
        assert finished.result.content == sources.content(photo) == sources.read_content(row, tmp_path)
        for name, content in finished.files.items():
            (tmp_path / name).write_bytes(content)
        return finished

    red, blue, again = edited(first), edited(second), edited(first)
    assert red.result.edit == again.result.edit != blue.result.edit
    assert red.files["a.png"] == again.files["a.png"] != blue.files["a.png"]
    assert list(again.files) == ["a.png"]  # its edit file is there

    kept = tmp_path / red.result.edit
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    mended = Editor(settings, tmp_path, tmp_path).edit(row)
    assert mended.result.status == DONE, mended.result.error
    assert mended.files == {"a.png": red.files["a.png"], red.result.edit: whole}


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders there")
def test_a_photo_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    refused = []

    def read():
        with pytest.raises(ValueError, match=r"^photo pipe.png cannot be read \(it is a pipe\): correct its path\.$"):
            read_file("photo", "pipe.png", tmp_path)
        refused.append(True)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(5)
    assert refused


def test_an_edit_file_has_a_name_that_disks_and_tables_take():
    name = edit_name(Row(1, f"a/{'ä' * 125}\r\n.png", "a dog"), b"")
    assert name.isprintable()
    assert len(name.removeprefix("edits/").encode()) <= 255
