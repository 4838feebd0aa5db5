"""Photos in and pictures out, as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..checks import shown

if TYPE_CHECKING:
    from PIL.Image import Image

# They hold any RGB picture. Some of Pillow's others are refused only when they are written, after the training.
KINDS = "PNG", "JPEG", "WEBP", "TIFF", "BMP", "AVIF"


def read_photo(path: Path) -> "Image":
    """A picture file, upright, RGB, in sRGB.

    Raises:
        ValueError: it cannot be read.
    """
    from .. import picture_file

    return picture_file.read(path, shown(str(path)))


def check_photo(path: Path) -> None:
    """Raises ValueError unless there is a file."""
    if not path.exists():
        raise ValueError(f"There is no photo {shown(str(path))}: check its path.")
    if path.is_dir():
        raise ValueError(f"{shown(str(path))} is a folder: name one photo, or use imagic batch for many.")


def default_output(name: Path) -> Path:
    """The picture's name where none was given.

    Raises:
        ValueError: there is such a file, which may be the only copy of another picture.
    """
    path = Path(f"{name.stem}-edited.png")
    if path.exists():
        raise ValueError(f"{shown(str(path))} is there already: name the new picture with -o.")
    return path


def check_output(path: Path, photo: Path | None = None) -> str:
    """The format that a picture's name asks for, known before hours of work.

    Raises:
        ValueError: no picture can be written there, or it would take the photo's place.
    """
    from PIL import Image

    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in KINDS or kind not in Image.SAVE:
        raise ValueError(f"{shown(str(path))} is no name of a picture: end it with .png, .jpg or .webp.")
    check_folder(path)
    if photo is not None and path.exists() and path.samefile(photo):
        raise ValueError(f"{shown(str(path))} is the photo itself: choose another name for the edit.")
    return kind


def check_edit_file(path: Path) -> None:
    """Raises ValueError unless an edit file, which no photo is by its name, can be written there."""
    check_folder(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{shown(str(path))} is no name of an edit file: end it with .safetensors.")


def check_folder(path: Path) -> None:
    """Raises ValueError unless a file can be made there, as far as that shows."""
    if path.is_dir():
        raise ValueError(f"{shown(str(path))} is a folder: add a file's name.")
    if not path.parent.is_dir():
        raise ValueError(f"The folder {shown(str(path.parent))} is not there: make it first.")


def write_picture(picture: "Image", path: Path, kind: str) -> None:
    """Write a picture whole or not at all.

    Args:
        kind: what `check_output` gave.

    Raises:
        NotWritten: the disk does not take it.
    """
    from .. import picture_file
    from ..whole_file import whole

    with whole(path) as unfinished:
        picture_file.write(picture, unfinished, kind)
