"""Which rows are to be done, in which order: those that share a tuning one after the other, wherever they stand.

The plan is an SQLite database in a file without a name, which goes with the process: a million rows take a few hundred
megabytes of the disk for temporary files, and none of memory.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import groupby
from pathlib import Path

from ..whole_file import NotWritten
from . import results, sources
from .manifest import BadRow, Manifest, Row

MOST = 8  # rows of a unit: more of one photo are spread, and their tuning is learned once for each unit at most
AGAIN = 10  # bad rows of earlier runs that are told once more

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE past (key TEXT PRIMARY KEY, error TEXT) WITHOUT ROWID;
CREATE TABLE wrote (output TEXT PRIMARY KEY, key TEXT, ended TEXT, stamp TEXT, content TEXT) WITHOUT ROWID;
CREATE TABLE names (output TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID;
CREATE TABLE folders (output TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID;
CREATE TABLE sources (output TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID;
CREATE TABLE photos (photo TEXT PRIMARY KEY, first INTEGER) WITHOUT ROWID;
CREATE TABLE anchors (photo TEXT, anchor TEXT, first INTEGER, PRIMARY KEY (photo, anchor)) WITHOUT ROWID;
CREATE TABLE todo (photo INTEGER, anchor INTEGER, number INTEGER, row TEXT, PRIMARY KEY (photo, anchor, number))
    WITHOUT ROWID;
"""

_WROTE = """
INSERT INTO wrote VALUES (?, ?, ?, ?, ?)
ON CONFLICT (output) DO UPDATE SET key = excluded.key, ended = excluded.ended, stamp = excluded.stamp,
    content = excluded.content WHERE excluded.ended >= ended
"""


@dataclass(frozen=True)
class Shard:
    """One of several parts of a manifest, which other processes or machines do. Photos are never split."""

    index: int = 1  # 1 .. count
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read "3/8". Raises ValueError if it is none."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise ValueError(f"--shard is {text!r}: give it a part and their number, 1/8 to 8/8 for instance.")
        return cls(int(index), int(count))

    def has(self, photo: str) -> bool:
        digest = blake2b(photo.encode("utf-8", "replace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.index - 1

    @property
    def table(self) -> str:
        """The name of its results table."""
        return "results.csv" if self.count == 1 else f"results-{self.index}-of-{self.count}.csv"


WHOLE = Shard()


@dataclass
class Counts:
    """How many rows a plan has met."""

    total: int = 0  # of this shard
    done: int = 0  # before, by a run that ended or was killed
    bad: int = 0
    told: int = 0  # of the bad ones, by an earlier run
    todo: int = 0


class Plan:
    """The rows of a manifest that are to be done by one shard, on disk. `with` closes it.

    Args:
        output: the folder of the results. A row is done if its picture is there, it was the last to write it, and its
            photo and mask are those that they were, see `sources`.

    Raises:
        NotAManifest: it cannot be read.
        NotWritten: the disk for temporary files is full.
    """

    def __init__(self, manifest: Manifest, output: Path, shard: Shard = WHOLE):
        self.counts = Counts()
        self.told: list[BadRow] = []  # the first of those that a table already says the same of
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._folder, self._output, self._shard = manifest.path.parent, output, shard
        try:
            self._database.executescript(_TABLES)
            with closing(self._database.cursor()) as cursor:
                cursor.execute("BEGIN")
                self._remember(cursor)
                photos, pictures = (os.path.realpath(folder) for folder in (manifest.path.parent, output))
                for row in manifest:
                    if isinstance(row, Row):
                        _note_sources(cursor, row, photos, pictures)
                    self._add(cursor, row)
                self._spare_sources(cursor)
                cursor.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self.close()
            raise NotWritten(f"The disk for temporary files cannot hold the plan ({error}): set TMPDIR.") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Plan":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def bad_rows(self) -> Iterator[BadRow]:
        """Rows that cannot be done, less those that a table already says the same of."""
        for number, text in self._database.execute("SELECT number, row FROM todo WHERE photo = 0 ORDER BY number"):
            error, output = json.loads(text)
            yield BadRow(number, error, output)

    def units(self) -> Iterator[list[Row]]:
        """Rows to do, `MOST` at a time at most, those of a unit with one photo and one anchor."""
        rows = self._database.execute(
            "SELECT photo, anchor, row FROM todo WHERE photo > 0 ORDER BY photo, anchor, number"
        )
        for _, group in groupby(rows, key=lambda row: row[:2]):
            unit = []
            for _, _, text in group:
                unit.append(Row(**json.loads(text)))
                if len(unit) == MOST:
                    yield unit
                    unit = []
            if unit:
                yield unit

    def failed_before(self, key: str, error: str) -> bool:
        """Whether a table already says that this row failed for this reason."""
        found = self._database.execute("SELECT error FROM past WHERE key = ?", (key,)).fetchone()
        return found is not None and found[0] == error

    def _remember(self, cursor: sqlite3.Cursor) -> None:
        """What the tables of all shards say: the last word on each row, and which row wrote each picture last.

        A row that was changed writes over its picture, and with another photo it may be in another shard. So lines of
        two tables are compared by time. Within a table their order counts, even if the clock was set back.
        """
        for table in sorted(self._output.glob("results*.csv")):
            ended = ""
            for result in results.read(table):
                error = result.error if result.status == results.FAILED else None
                cursor.execute("REPLACE INTO past VALUES (?, ?)", (result.key, error))
                if error is None:
                    ended = max(ended, result.ended)
                    wrote = _same_file(result.output), result.key, ended, result.stamp, result.content
                    cursor.execute(_WROTE, wrote)

    def _done(self, cursor: sqlite3.Cursor, row: Row) -> bool:
        """Whether the row's picture is there, this row was the last to write it, and from the photo that is there."""
        asked = "SELECT stamp, content FROM wrote WHERE output = ? AND key = ?"
        found = cursor.execute(asked, (_same_file(row.output), row.key)).fetchone()
        if not found or not os.path.isfile(os.path.join(self._output, row.output)):
            return False
        return sources.same(row, self._folder, *found)

    def _add(self, cursor: sqlite3.Cursor, row: Row | BadRow) -> None:
        if isinstance(row, Row):
            row = self._named(cursor, row)
        if not self._shard.has(row.photo if isinstance(row, Row) else str(row.number)):
            return
        self.counts.total += 1
        if isinstance(row, BadRow):
            self._add_bad(cursor, row)
            return
        if self._done(cursor, row):
            self.counts.done += 1
            return
        self.counts.todo += 1
        cursor.execute("INSERT OR IGNORE INTO photos VALUES (?, ?)", (row.photo, row.number))
        cursor.execute("INSERT OR IGNORE INTO anchors VALUES (?, ?, ?)", (row.photo, row.anchor, row.number))
        photo = cursor.execute("SELECT first FROM photos WHERE photo = ?", (row.photo,)).fetchone()[0]
        anchor = cursor.execute(
            "SELECT first FROM anchors WHERE photo = ? AND anchor = ?", (row.photo, row.anchor)
        ).fetchone()[0]
        cursor.execute("INSERT INTO todo VALUES (?, ?, ?, ?)", (photo, anchor, row.number, json.dumps(asdict(row))))

    def _add_bad(self, cursor: sqlite3.Cursor, row: BadRow) -> None:
        self.counts.bad += 1
        if self.failed_before(row.key, results.one_line(row.error, results.LONGEST)):
            if len(self.told) < AGAIN:
                self.told.append(row)
            self.counts.told += 1
        else:
            cursor.execute("INSERT INTO todo VALUES (0, 0, ?, ?)", (row.number, json.dumps([row.error, row.output])))

    def _spare_sources(self, cursor: sqlite3.Cursor) -> None:
        """No row writes over the photo or the mask of a row, not even of a later one."""
        clashes = "SELECT names.number, sources.number FROM sources JOIN names USING (output)"
        for number, other in cursor.execute(clashes).fetchall():
            this = "FROM todo WHERE photo > 0 AND number = ?"
            if found := cursor.execute(f"SELECT row {this}", (number,)).fetchone():
                cursor.execute(f"DELETE {this}", (number,))
                self.counts.todo -= 1
                error = f"output is the photo or the mask of row {other}: choose another name or another folder."
                self._add_bad(cursor, BadRow(number, error, json.loads(found[0])["output"]))

    @staticmethod
    def _named(cursor: sqlite3.Cursor, row: Row) -> Row | BadRow:
        """The row, unless one before it has its name, or no disk could hold both."""
        name, number = _same_file(row.output), row.number
        folders = [name[:end] for end, letter in enumerate(name) if letter == "/"]
        if first := _first(cursor, "names", name):
            return BadRow(number, f"output is also that of row {first}: give each row a name of its own.", row.output)
        clashes = [_first(cursor, "folders", name), *(_first(cursor, "names", each) for each in folders)]
        for first in filter(None, clashes):
            error = f"output and that of row {first} need a folder and a picture of the same name: choose another name."
            return BadRow(number, error, row.output)
        cursor.execute("INSERT INTO names VALUES (?, ?)", (name, number))
        cursor.executemany("INSERT OR IGNORE INTO folders VALUES (?, ?)", [(each, number) for each in folders])
        return row


def _note_sources(cursor: sqlite3.Cursor, row: Row, photos: str, pictures: str) -> None:
    """Photo and mask of a row, if they lie where pictures are written; both folders are real paths."""
    for name in filter(None, (row.photo, row.mask)):
        path = os.path.normpath(os.path.join(photos, name))
        if path.startswith(pictures + os.sep):
            output = _same_file(os.path.relpath(path, pictures).replace(os.sep, "/"))
            cursor.execute("INSERT OR IGNORE INTO sources VALUES (?, ?)", (output, row.number))


def _first(cursor: sqlite3.Cursor, table: str, output: str) -> int | None:
    """The row that took a name first."""
    found = cursor.execute(f"SELECT number FROM {table} WHERE output = ?", (output,)).fetchone()
    return found and found[0]


def _same_file(output: str) -> str:
    """Equal for names of one file, on systems that ignore case as well."""
    return output.casefold()
