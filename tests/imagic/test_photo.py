"""Pictures of every kind become the same upright picture."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from imagic.photo import normalized

RAMP = np.linspace(0, 255, 32).round().astype(np.uint8)
COLOURS = np.dstack(np.broadcast_arrays(RAMP, RAMP[:, None], np.uint8(90)))[:24]
GREY = np.broadcast_to(RAMP, (24, 32))
TURNS = {3: 180, 6: 90, 8: 270}  # orientation tag: by how many degrees counterclockwise a camera has stored the picture


def as_file(picture: Image.Image, kind: str, **options) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return Image.open(file)


def far(a: Image.Image, b) -> int:
    assert a.mode == "RGB"
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max())


def rgb(grey) -> np.ndarray:
    return np.repeat(np.asarray(grey)[..., None], 3, -1)


@pytest.mark.parametrize("tag", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_a_phones_photo_is_upright(kind, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    stored = Image.fromarray(COLOURS).rotate(TURNS[tag], expand=True)
    upright = normalized(as_file(stored, kind, exif=exif))
    assert far(upright, COLOURS) <= (12 if kind == "JPEG" else 0)
    assert 0x0112 not in upright.getexif()


@pytest.mark.parametrize("dark", [1, 0.25])
def test_16_bits_keep_their_brightness(dark):
    deep = (GREY.astype(float) * 257 * dark).astype(np.uint16)
    for picture in (
        Image.fromarray(deep),
        as_file(Image.fromarray(deep), "PNG"),
        as_file(Image.fromarray(deep), "TIFF"),
    ):
        assert far(normalized(picture), rgb(GREY * dark)) <= 1


@pytest.mark.parametrize(
    ("values", "white"),
    [
        (GREY.astype(np.float32), 255),
        (GREY.astype(np.float32) / 255, 1),
        (GREY.astype(np.float32) * 257, 65535),
        (GREY.astype(np.int32), 255),
        (GREY.astype(np.int32) * 257, 65535),
    ],
)
def test_numbers_are_scaled_by_the_white_that_holds_them(values, white):
    picture = Image.fromarray(values)
    assert picture.mode in "IF"
    assert far(normalized(picture), rgb(GREY)) <= 1


def test_highlights_beyond_white_darken_nothing():
    values = GREY.astype(np.float32) / 255
    values = np.where(values == 1, 2.5, values).astype(np.float32)
    assert far(normalized(Image.fromarray(values)), rgb(GREY)) <= 1


def test_what_is_transparent_is_white():
    alpha = np.full(GREY.shape, 255, np.uint8)
    alpha[:, :16] = 0
    alpha[:, 16:20] = 128
    share = (alpha / 255)[..., None]
    expected = COLOURS * share + 255 * (1 - share)
    assert far(normalized(as_file(Image.fromarray(np.dstack([COLOURS, alpha])), "PNG")), expected) <= 1
    grey = Image.merge("LA", [Image.fromarray(GREY.copy()), Image.fromarray(alpha)])
    assert far(normalized(as_file(grey, "PNG")), rgb(GREY) * share + 255 * (1 - share)) <= 1


def test_a_palette_keeps_its_colours_and_its_hole():
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putdata([0, 1])
    assert np.asarray(normalized(as_file(picture, "PNG")))[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    holed = as_file(picture, "PNG", transparency=0)
    assert np.asarray(normalized(holed))[0].tolist() == [[255, 255, 255], [40, 50, 60]]


@pytest.mark.parametrize("mode", ["L", "1", "RGBX", "YCbCr", "HSV", "CMYK", "RGB"])
def test_other_modes_are_what_pillow_makes_of_them(mode):
    picture = Image.fromarray(COLOURS).convert(mode)
    assert far(normalized(picture), picture.convert("RGB")) == 0


def test_a_plain_picture_is_itself_and_the_one_given_is_left_alone():
    picture = Image.fromarray(COLOURS)
    assert far(normalized(picture), COLOURS) == 0
    assert picture.mode == "RGB"


def cut_off() -> Image.Image:
    file = io.BytesIO()
    Image.fromarray(COLOURS).save(file, "BMP")
    return Image.open(io.BytesIO(file.getvalue()[:500]))


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        ("photo.jpg", r"^The photo is of type str: open it with PIL\.Image\.open first\.$"),
        (None, r"^The photo is of type NoneType: open"),
        (COLOURS, r"^The photo is of type ndarray: open"),
        (
            Image.fromarray(np.full((4, 4), np.nan, np.float32)),
            r"^The photo holds values up to nan: convert it to 8 or",
        ),
        (Image.fromarray(np.full((4, 4), 70000, np.int32)), r"^The photo holds values up to 70000: convert it"),
        (cut_off(), r"^The photo cannot be read to its end: copy or save it again\.$"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(picture, sentence):
    with pytest.raises(ValueError, match=sentence):
        normalized(picture)


def display_p3() -> bytes:
    """An ICC profile with the primaries of Display P3 (adapted to D50) and a gamma of 2.2."""

    def numbers(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    primaries = {"rXYZ": (0.51512, 0.2412, -0.00105), "gXYZ": (0.29198, 0.69225, 0.04189)}
    primaries |= {"bXYZ": (0.1571, 0.06657, 0.78407), "wtpt": (0.9642, 1.0, 0.8249)}
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", 3) + b"P3\0" + bytes(79)
    tags = {name: b"XYZ " + bytes(4) + numbers(*values) for name, values in primaries.items()}
    tags |= {"rTRC": curve, "gTRC": curve, "bTRC": curve, "desc": text, "cprt": b"text" + bytes(8)}
    start, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name.encode() + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = start + len(body)
    header = struct.pack(">I", size) + bytes(4) + bytes([2, 0x10, 0, 0]) + b"mntrRGB XYZ " + bytes(12) + b"acsp"
    header += bytes(68 - len(header)) + numbers(0.9642, 1.0, 0.8249)
    return header + bytes(128 - len(header)) + table + body


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_photo_in_display_p3_becomes_srgb(mode):
    stored = Image.new(mode, (8, 8), (170, 130, 130, 255)[: len(mode)])
    grey = Image.new(mode, (8, 8), (128, 128, 128, 255)[: len(mode)])
    seen, same = (normalized(as_file(picture, "PNG", icc_profile=display_p3())) for picture in (stored, grey))
    # By the matrices of both, on light linear in gamma 2.2.
    assert far(seen, np.full((8, 8, 3), (179, 129, 130))) <= 2
    assert far(same, np.full((8, 8, 3), 128)) <= 3


def test_a_damaged_profile_and_one_of_srgb_change_nothing():
    for profile in (b"no profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()):
        assert far(normalized(as_file(Image.fromarray(COLOURS), "PNG", icc_profile=profile)), COLOURS) == 0
