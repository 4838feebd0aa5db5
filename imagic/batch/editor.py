"""What a worker is: a model that was loaded once, and the rows that it edits with it."""

import errno
import io
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PureWindowsPath

from PIL import Image

from .. import picture_file
from ..checks import one_line, quoted
from ..edit_file import NotAnEdit
from ..photo import PAPER, UNPAINTED
from . import method, sources
from .manifest import BadRow, Row, short_name
from .results import DONE, FAILED, LONGEST, Result
from .settings import Settings


@dataclass(frozen=True)
class Finished:
    """A row that was tried, and the files that came of it, by their names in the output folder."""

    result: Result
    files: Mapping[str, bytes] = field(default_factory=dict)


class NoWorker(ValueError):
    """A worker that cannot begin, for a reason that all of them would have."""


def failed(row: Row | BadRow, error: str, seconds: float = 0.0) -> Finished:
    """A row of which nothing came."""
    return Finished(Result(row.number, row.output, FAILED, seconds, error=error, key=row.key))


class Editor:
    """Edits rows one by one. What it learned of a photo serves the rows after it that start from the same text.

    Args:
        folder: of the manifest, beside which its paths are.
        output: where earlier runs may have left edit files.
    """

    def __init__(self, settings: Settings, folder: Path, output: Path):
        self._settings, self._folder, self._output = settings, folder, output
        self._pipeline = method.load(settings)
        self._learned: tuple[str, method.Learned] | None = None  # with its name

    def edit(self, row: Row, photo: bytes | None = None, mask: bytes | None = None) -> Finished:
        """One row. Whatever is wrong with it, and whatever goes wrong, is in the result.

        Args:
            photo, mask: their files' contents, where they were read elsewhere.
        """
        start = time.perf_counter()
        method.forget_peak(self._pipeline)
        try:
            return self._edit(row, photo, mask, start)
        except Exception as error:
            return failed(row, explain(error), time.perf_counter() - start)

    def _edit(self, row: Row, photo: bytes | None, mask: bytes | None, start: float) -> Finished:
        photo = read_file("photo", row.photo, self._folder) if photo is None else photo
        image = picture("photo", row.photo, self._folder, photo)
        if row.mask and mask is None:
            mask = read_file("mask", row.mask, self._folder)
        region = picture("mask", row.mask, self._folder, mask, UNPAINTED) if row.mask else None
        if region is not None and region.size != image.size:
            sizes = [f"{width} x {height}" for width, height in (region.size, image.size)]
            raise ValueError(f"mask is {sizes[0]} and the photo {sizes[1]}: draw it at the photo's size.")
        edit = edit_name(row, photo)
        learned, cost = self._learn(edit, row, image)
        drawn = method.draw(learned, row, image, region, self._settings)
        files, name = {row.output: encode(drawn.picture, row.output)}, ""
        if self._settings.save_edits and not self._settings.instant:
            name = edit
            if not learned.kept:
                files[name] = method.to_bytes(learned)
                learned.kept = True
        result = Result(
            number=row.number,
            output=row.output,
            status=DONE,
            seconds=time.perf_counter() - start,
            evaluations=cost + drawn.evaluations,
            alignment=drawn.alignment,
            fidelity=drawn.fidelity,
            peak_mib=method.peak(self._pipeline),
            edit=name,
            key=row.key,
            content=sources.content(photo, *([mask] if row.mask else [])),
        )
        return Finished(result, files)

    def _learn(self, name: str, row: Row, photo: Image.Image) -> tuple[method.Learned, int]:
        """What is known of the row's photo, and the evaluations that it took to learn it now."""
        if self._learned is not None and self._learned[0] == name:
            return self._learned[1], 0
        self._learned = None  # before another takes its place in memory
        if (learned := self._kept(name)) is None:
            learned = method.learn(self._pipeline, photo, row, self._settings)
        self._learned = name, learned
        return learned, learned.evaluations

    def _kept(self, name: str) -> method.Learned | None:
        """What an earlier run has kept; None as well where that file was damaged since, which is then written anew."""
        path = self._output / name
        if self._settings.save_edits and not self._settings.instant and path.is_file():
            with suppress(NotAnEdit):
                return method.from_file(path, self._pipeline)
        return None


def edit_name(row: Row, photo: bytes) -> str:
    """What the edit file of a photo's content and a text is called, wherever the photo lies."""
    key = blake2b(f"{row.anchor}\0".encode() + photo, digest_size=6).hexdigest()
    stem = "".join(letter for letter in PureWindowsPath(row.photo).stem if letter.isprintable())
    return f"edits/{short_name(stem, f'-{key}.safetensors')}"


def picture(
    what: str, path: str, folder: Path, content: bytes | None = None, paper: tuple[int, int, int] = PAPER
) -> Image.Image:
    """A picture of the manifest, upright, RGB, in sRGB, on `paper` where it is transparent.

    Raises:
        ValueError: it is not there or is none.
    """
    content = read_file(what, path, folder) if content is None else content
    return picture_file.read(io.BytesIO(content), f"{what} {quoted(path)}", paper)


def read_file(what: str, path: str, folder: Path) -> bytes:
    """A file of the manifest. Raises ValueError if it is not there."""
    file = folder / path
    try:
        if file.is_fifo():
            raise OSError(errno.EINVAL, "it is a pipe")
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"{what} {quoted(path)} cannot be read ({error.strerror}): correct its path.") from None


def encode(image: Image.Image, name: str) -> bytes:
    """The file of a picture, in the format that its name says."""
    file = io.BytesIO()
    picture_file.write(image, file, Image.registered_extensions()[PureWindowsPath(name).suffix.lower()])
    return file.getvalue()


def explain(error: Exception) -> str:
    """An error as a sentence of a results table: our own as they are, others with their kind."""
    text = one_line(str(error), LONGEST)
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text or 'no message'}"
