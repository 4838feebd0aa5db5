"""Photos in and pictures out, as files: what both the command and a batch read and write."""

from os import PathLike
from typing import Any, BinaryIO

from PIL import Image

from .photo import PAPER, normalized

# Full quality: an edit is often edited again.
_HOW: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}


def read(file: PathLike[str] | BinaryIO, name: str, paper: tuple[int, int, int] = PAPER) -> Image.Image:
    """A picture file as `normalized` makes it: upright, RGB, in sRGB.

    Args:
        name: what the error calls it.
        paper: behind what is transparent, see `photo`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read.
    """
    try:
        with Image.open(file) as picture:
            upright = normalized(picture, paper)
    except FileNotFoundError:
        raise
    # What Pillow's readers of rarer formats raise of a damaged file.
    except (Image.DecompressionBombError, OSError, SyntaxError, RuntimeError, ValueError):
        raise ValueError(f"{name} is no picture that can be read: convert it to PNG or JPEG.") from None
    upright.info = {}  # a profile or a tag tells what the file's numbers meant, not these
    return upright


def write(picture: Image.Image, file: PathLike[str] | BinaryIO, kind: str) -> None:
    """Write a picture of sRGB. It carries no profile, which is how every viewer takes sRGB.

    Args:
        kind: Pillow's name of the format.
    """
    picture.save(file, kind, **_HOW.get(kind, {}))
