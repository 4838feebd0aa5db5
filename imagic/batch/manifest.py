"""The list of edits to make: a CSV or JSONL file, read row by row, so that its length takes no memory."""

import csv
import json
import ntpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, TextIO

from .. import checks

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # that spreadsheets write in the place of commas
FORMATS = (".png", ".jpg", ".jpeg", ".webp")  # of the pictures that come out
COLUMNS = ("photo", "sentence", "caption", "mask", "seed", "strength", "output")
LONGEST_LINE = 1_000_000  # characters; a longer one is no row of text
LONGEST_NAME = 255  # bytes that file systems take for a name
_TOO_LONG = f"It is longer than {LONGEST_LINE} characters: shorten its texts."
_NO_TEXT = re.compile("[\0\ufffd\ud800-\udfff]")  # the last are halves of characters, which JSON can hold


class NotAManifest(ValueError):
    """A file that cannot be read as a manifest."""


@dataclass(frozen=True)
class Row:
    """One edit to make. Paths are as the manifest has them, beside its own folder where they are relative."""

    number: int  # of its line: 1 is the first below the heading, and empty ones count
    photo: str
    sentence: str  # what the finished photo shows
    caption: str = ""  # what the photo shows now
    mask: str = ""  # a picture of the photo's size, white where the photo may change
    seed: int = 0
    strength: float = 1.2  # eta: 0 is the photo itself, 1 the sentence
    output: str = ""  # the picture's name in the output folder
    more: Mapping[str, str] = field(default_factory=dict)  # columns of the user's own, for workflows of ComfyUI

    @property
    def anchor(self) -> str:
        """The text that the photo's tuning starts from. One that starts from a caption serves every sentence."""
        return self.caption or self.sentence

    @property
    def key(self) -> str:
        """Twelve characters that stand for all that the row asks for, and not for where it stands."""
        asked = {name: getattr(self, name) for name in COLUMNS} | {"more": dict(self.more)}
        return blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be done, and the sentence that says what to change."""

    number: int
    error: str
    output: str = ""

    @property
    def key(self) -> str:
        return blake2b(f"{self.number} {self.error}".encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class Manifest:
    """A file of rows, and what is true of rows that do not say otherwise.

    Args:
        path: CSV with a heading, or JSONL, one object a line; UTF-8. Its name ends in .csv or .jsonl.
        more: columns beside `COLUMNS` that are known.
        seed, strength: of rows that have none.
    """

    path: Path
    more: frozenset[str] = frozenset()
    seed: int = Row.seed
    strength: float = Row.strength

    def __iter__(self) -> Iterator[Row | BadRow]:
        """The rows, one after the other. Photos and masks are not looked at yet.

        Raises:
            NotAManifest: the file cannot be read, or its heading has columns that nobody knows.
        """
        path, kinds = self.path, {".csv": _csv, ".jsonl": _jsonl}
        if path.suffix.lower() not in kinds:
            raise NotAManifest(f"{path.name} is no manifest: give a file whose name ends in .csv or .jsonl.")
        empty = True
        try:
            with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
                for number, cells in enumerate(kinds[path.suffix.lower()](file, path.name, self.more), 1):
                    if cells:
                        yield _row(number, cells, self)
                        empty = False
        except OSError as error:
            raise NotAManifest(f"{path} cannot be read ({error.strerror}): correct its path.") from None
        if empty:
            raise NotAManifest(f"{path.name} has no rows: write one for each picture.")


def _csv(file: TextIO, name: str, more: frozenset[str]) -> Iterator[dict[str, Any] | str]:
    """The cells of each line by their columns, or what is wrong with it; "" for one that is empty."""
    csv.field_size_limit(LONGEST_LINE)
    lines = _lines(file)
    heading = _heading(next(lines, ""), f"The heading of {name}")
    _check_columns(f"The heading of {name}", heading, more)
    for line in lines:
        if len(line) == LONGEST_LINE:
            yield _TOO_LONG
            continue
        try:
            cells = _csv_cells(line)
        except csv.Error as error:
            yield f"It cannot be read as CSV ({error}): close each quote in its own line, and double quotes in a text."
            continue
        if not any(cell.strip() for cell in cells):  # spreadsheets write commas alone for a row that was cleared
            yield ""
            continue
        if len(cells) > len(heading):
            yield f"It has {len(cells)} cells and the heading {len(heading)}: put quotes around texts with commas."
            continue
        yield dict(zip(heading, cells, strict=False))


def _lines(file: TextIO) -> Iterator[str]:
    """The lines, of longer ones the first `LONGEST_LINE` characters: one may be larger than the memory."""
    while line := file.readline(LONGEST_LINE):
        rest = line
        while len(rest) == LONGEST_LINE and rest[-1] not in "\r\n":
            rest = file.readline(LONGEST_LINE)
        yield line


def _heading(line: str, what: str) -> list[str]:
    """The columns of a first line. Raises NotAManifest if it is none, with what is usually the matter."""
    if _NO_TEXT.search(line):
        raise NotAManifest(f"{what} holds characters that are no text: save the manifest as UTF-8.")
    if len(line) == LONGEST_LINE:
        raise NotAManifest(f"{what} is longer than {LONGEST_LINE} characters: write the columns into the first line.")
    for separator, named in SEPARATORS.items():
        if {COLUMNS[0], COLUMNS[1]} <= {cell.strip('" ').lower() for cell in line.strip().split(separator)}:
            raise NotAManifest(f"{what} has {named} between its columns: save the manifest with commas.")
    try:
        return [cell.strip().lower() for cell in _csv_cells(line)]
    except csv.Error as error:
        raise NotAManifest(f"{what} cannot be read as CSV ({error}): close its quotes.") from None


def _csv_cells(line: str) -> list[str]:
    """The cells of one line. A row is a line, so that a quote that is never closed takes no other rows with it.

    Raises:
        csv.Error: a quote is not closed, or a text goes on behind it.
    """
    return next(csv.reader([line], strict=True), [])


def _jsonl(file: TextIO, name: str, more: frozenset[str]) -> Iterator[dict[str, Any] | str]:
    """As `_csv`."""
    for line in _lines(file):
        if not line.strip():
            yield ""
            continue
        if len(line) == LONGEST_LINE:
            yield _TOO_LONG
            continue
        try:
            cells = json.loads(line, object_pairs_hook=_once)
        except NotAManifest as error:
            yield str(error)
            continue
        except (ValueError, RecursionError):
            yield "It is no JSON: write one object a line."
            continue
        if not isinstance(cells, dict):
            yield 'It is no JSON object: write {"photo": ..., "sentence": ...}.'
            continue
        try:
            _check_columns("The row", list(cells), more)
        except NotAManifest as error:
            yield str(error)
            continue
        yield cells


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises NotAManifest where a name is in it twice: Python takes the last, others the first."""
    cells = dict(pairs)
    if len(cells) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotAManifest(f"The row has {checks.shown(twice)} twice: keep one of them.")
    return cells


def _check_columns(what: str, columns: list[str], more: frozenset[str]) -> None:
    unknown = [name for name in columns if name not in COLUMNS and name not in more]
    known = ", ".join((*COLUMNS, *sorted(more)))
    if unknown:
        raise NotAManifest(f"{what} has a column {checks.shown(unknown[0])}: the columns are {known}.")
    missing = [name for name in COLUMNS[:2] if name not in columns]
    if missing:
        raise NotAManifest(f"{what} has no column {missing[0]}: the columns are {known}.")
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise NotAManifest(f"{what} has the column {twice} twice: keep one of them.")


def _row(number: int, cells: dict[str, Any] | str, manifest: Manifest) -> Row | BadRow:
    if isinstance(cells, str):
        return BadRow(number, cells)
    try:
        photo, sentence = _text(cells, "photo"), _text(cells, "sentence")
        for name, value in {"photo": photo, "sentence": sentence}.items():
            if not value:
                raise ValueError(f"{name} is empty: fill it in.")
        output = _text(cells, "output") or short_name(ntpath.splitext(ntpath.basename(photo))[0], f"-{number}.png")
        _check_output(output)
        return Row(
            number=number,
            photo=photo,
            sentence=sentence,
            caption=_text(cells, "caption"),
            mask=_text(cells, "mask"),
            seed=checks.integer("seed", _number(cells, "seed", int, manifest.seed), *checks.SEEDS),
            strength=checks.number("strength", _number(cells, "strength", float, manifest.strength), *checks.ETA),
            output=output,
            more={name: _text(cells, name) for name in sorted(manifest.more) if name in cells},
        )
    except ValueError as error:
        output = cells.get("output")
        told = isinstance(output, str) and output.isprintable() and len(output) <= LONGEST_NAME
        return BadRow(number, str(error), output if told else "")


def _text(cells: Mapping[str, Any], name: str) -> str:
    value = cells.get(name)
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        raise ValueError(f"{name} is {checks.shown(value)}: give it a text.")
    text = str(value).strip()
    if _NO_TEXT.search(text):
        raise ValueError(f"{name} holds characters that are no text: save the manifest as UTF-8.")
    return text


def short_name(stem: str, ending: str) -> str:
    """A file's name, its stem cut where file systems would not take it."""
    room = LONGEST_NAME - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore") + ending


def _number(cells: Mapping[str, Any], name: str, kind: type, default: float) -> Any:
    """What a cell says, as a number where it is one."""
    text = _text(cells, name)
    if not text:
        return default
    try:
        return kind(text)
    except ValueError:
        return text


def _check_output(name: str) -> None:
    """Raises ValueError unless a picture can be written under this name, inside the output folder."""
    # Not by pathlib, which keeps every name that it has seen. Windows' rules are the stricter ones.
    parts = name.replace("\\", "/").split("/")
    if ntpath.splitdrive(name)[0] or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"output is {checks.shown(name)}: give a name inside the output folder.")
    if ntpath.splitext(name)[1].lower() not in FORMATS:
        raise ValueError(f"output is {checks.shown(name)}: end it in one of {', '.join(FORMATS)}.")
    if not name.isprintable() or any(part.startswith(".imagic") for part in parts):
        raise ValueError(f"output is {checks.shown(name)}: choose another name.")
    if any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise ValueError(f"output is {checks.shown(name)}: shorten each name in it to {LONGEST_NAME} bytes.")
