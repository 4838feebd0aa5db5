"""What a run writes, and what it says meanwhile."""

import csv

import pytest

from imagic.batch import runner
from imagic.batch.editor import Finished
from imagic.batch.manifest import Manifest
from imagic.batch.results import DONE, Result
from imagic.whole_file import NotWritten


def manifest(folder, *outputs: str) -> Manifest:
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("photo", "sentence", "output"), *(("a.png", "a dog", each) for each in outputs)])
    return Manifest(path)


def engine(units):
    """Each row's picture, and an edit file."""
    for unit in units:
        for row in unit:
            result = Result(row.number, row.output, DONE, key=row.key)
            yield Finished(result, {row.output: b"picture", "edits/a.safetensors": b"edit"})


def test_a_picture_that_cannot_have_its_name_stops_no_other(tmp_path):
    output, long = tmp_path / "out", "/".join(["a" * 250] * 17) + ".png"  # together more than a path may have
    (output / "folder.png").mkdir(parents=True)
    (output / "file").touch()
    done = runner.run(manifest(tmp_path, "folder.png", "file/x.png", long, "good.png"), output, engine)
    assert (done.done, done.failed) == (1, 3)
    assert (output / "good.png").read_bytes() == b"picture"
    assert (output / "edits" / "a.safetensors").is_file()
    table = list(csv.DictReader((output / "results.csv").open()))
    errors = [row["error"] for row in table]
    assert "folder.png cannot be written, since a folder has its name" in errors[0]
    assert "x.png cannot be written, since a file is where its folder would be" in errors[1]
    assert "since its name is too long: shorten it" in errors[2]
    assert [row["status"] for row in table] == ["failed", "failed", "failed", "done"]


def test_a_folder_for_edits_that_cannot_be_made_ends_the_run(tmp_path):
    """It would be in the way of every row."""
    output = tmp_path / "out"
    output.mkdir()
    (output / "edits").touch()
    with pytest.raises(NotWritten, match="a file is where its folder would be"):
        runner.run(manifest(tmp_path, "a.png", "b.png"), output, engine)
