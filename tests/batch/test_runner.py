"""What a run writes, and what it says meanwhile."""

import csv
import os
import sys

import pytest

from imagic.batch import runner
from imagic.batch.editor import Finished, failed
from imagic.batch.manifest import Manifest, Row
from imagic.batch.plan import AGAIN
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


def failing(units):
    """The second row fails."""
    for finished in engine(units):
        yield failed(Row(2, "a.png", "a dog"), "It is no picture.") if finished.result.number == 2 else finished


@pytest.mark.parametrize(("bad", "listed"), [(3, 3), (25, AGAIN)])
def test_bad_rows_of_an_earlier_run_are_told_again(tmp_path, capsys, bad, listed):
    """Not all of very many: of the others there is a count. The table gets no second line of any."""
    rows, output = manifest(tmp_path, *["../a.png"] * bad, "good.png"), tmp_path / "out"
    first = runner.run(rows, output, engine, on_row=runner.progress)
    assert len(capsys.readouterr().err.splitlines()) == bad
    assert str(first).endswith(f" s, {bad} could not be done.")
    table = (output / "results.csv").read_bytes()
    again = runner.run(rows, output, engine, on_row=runner.progress)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"Row {number}" for number in range(1, listed + 1)]
    assert "give a name inside the output folder" in lines[0]
    rest = f" ({bad - listed} of them not listed above)" if bad > listed else ""
    assert str(again) == f"0 of {bad + 1} pictures in 0 s, 1 were done before, {bad} could not be done{rest}."
    assert (output / "results.csv").read_bytes() == table


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_the_line_on_a_terminal_is_ended(tmp_path, monkeypatch):
    """Errors of rows, and what is said after the run, have lines of their own."""
    ours, theirs = os.openpty()
    with open(theirs, "w") as terminal, open(ours, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        outputs = "a.png", "b.png", "c.png", "../d.png"
        runner.run(manifest(tmp_path, *outputs), tmp_path / "out", failing, on_row=runner.progress)
        print("Summary", file=terminal, flush=True)
        written = ""
        while not written.endswith("Summary\r\n"):  # a terminal hands out as much as it has
            written += screen.read(2**16).decode()
    *lines, rest = [line.split("\r")[-1].rstrip() for line in written.split("\r\n")]
    assert [line.partition(":")[0] for line in lines] == [
        "Row 4",
        "Row 2",
        "2 of 4 done, 2 failed, 0 min left",
        "Summary",
    ]
    assert not rest


def test_a_file_gets_lines_of_rows_that_failed_alone(tmp_path, capsys):
    runner.run(manifest(tmp_path, "a.png", "b.png"), tmp_path / "out", failing, on_row=runner.progress)
    assert capsys.readouterr().err == "Row 2: It is no picture.\n"
