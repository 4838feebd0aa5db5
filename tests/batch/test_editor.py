"""Pictures of a batch, read and written."""

import io
import os
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from imagic.batch import sources
from imagic.batch.editor import Editor, edit_name, encode, picture, read_file
from imagic.batch.manifest import Row
from imagic.batch.results import DONE
from imagic.batch.settings import Settings
from imagic.diffusers.images import as_picture
from tests.imagic.test_photo import display_p3


def test_a_photo_in_display_p3_is_read_and_written_in_srgb(tmp_path):
    """Its colours are converted once, and the file does not tell to convert them again."""
    Image.new("RGB", (8, 8), (170, 130, 130)).save(tmp_path / "phone.png", icc_profile=display_p3())
    photo = picture("photo", "phone.png", tmp_path)
    written = Image.open(io.BytesIO(encode(photo, "a.png")))
    assert "icc_profile" not in written.info
    for seen in (photo, as_picture("image", photo), written):
        assert np.abs(np.asarray(seen).astype(int) - (179, 129, 130)).max() <= 2


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
