"""Pictures of a batch, read and written."""

import io

import numpy as np
from PIL import Image

from imagic.batch.editor import encode, picture
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
