"""Whether the photo and the mask of a row are still the files that it was done with.

A table keeps their sizes and times, which are asked for in no time, and a digest of what they held, which whoever drew
the row has read anyway. A run that goes on reads a photo again only if its size or time is another: a photo that was
replaced is done again, and ten thousand that were merely copied to another disk are not.
"""

import os
from hashlib import blake2b
from pathlib import Path

from .manifest import Row


def stamp(row: Row, folder: Path) -> str:
    """Bytes of size and nanoseconds of time of a row's photo and mask; "" where one is not there.

    Args:
        folder: of the manifest.
    """
    try:
        found = [os.stat(path) for path in _paths(row, folder)]
    except OSError:
        return ""
    return " ".join(f"{each.st_size} {each.st_mtime_ns}" for each in found)


def content(*files: bytes) -> str:
    """A digest of what a photo holds, or a photo and its mask: 16 digits."""
    return blake2b(b"".join(blake2b(file).digest() for file in files), digest_size=8).hexdigest()


def read_content(row: Row, folder: Path) -> str:
    """`content` of the files as they are now; "" where one cannot be read."""
    try:
        return content(*(Path(path).read_bytes() for path in _paths(row, folder)))
    except OSError:
        return ""


def same(row: Row, folder: Path, old_stamp: str, old_content: str) -> bool:
    """Whether a row that is done can stay so. What is not known, or no longer there, is taken for the same."""
    new_stamp = stamp(row, folder)
    if not old_stamp or not new_stamp or old_stamp == new_stamp:
        return True
    return bool(old_content) and read_content(row, folder) in (old_content, "")


def _paths(row: Row, folder: Path) -> list[str]:
    return [os.path.join(folder, name) for name in (row.photo, row.mask) if name]
