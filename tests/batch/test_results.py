"""The results table: whole lines, one writer, and nothing half-written on a full disk."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from imagic.batch.results import COLUMNS, DONE, FAILED, Result, Table, check, read
from imagic.batch.settings import OtherSettings, Settings, chosen_threads, keep
from imagic.cli import main
from imagic.whole_file import NotWritten

ONE = Result(1, 'a "b", c.png', DONE, 1.5, 90, 0.25, None, 700, "", "edits/a.safetensors", "k1")
TWO = Result(2, "b.png", FAILED, error="It is no\npicture.", key="k2")


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "results.csv"
    for result in (ONE, TWO):  # by two runs
        with Table(path) as table:
            table.append(result)
    assert list(read(path)) == [ONE, Result(2, "b.png", FAILED, error="It is no picture.", key="k2")]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_line_is_taken_away(tmp_path, cut):
    path = tmp_path / "results.csv"
    with Table(path) as table:
        table.append(ONE)
        table.append(ONE)
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    assert list(read(path)) == [ONE]
    with Table(path) as table:
        table.append(ONE)
    assert path.read_bytes() == content


def test_a_torn_heading_is_written_again(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("number,out")
    with Table(path) as table:
        table.append(ONE)
    assert list(read(path)) == [ONE]


def test_a_line_that_cannot_be_read_is_left_out(tmp_path):
    """Earlier versions wrote names with line breaks, of rows that they refused."""
    path = tmp_path / "results.csv"
    with Table(path) as table:
        table.append(replace(TWO, output="a\rb.png"))
        table.append(replace(TWO, output="a\nb.png"))
        table.append(ONE)
    assert list(read(path))[-1] == ONE


def test_one_run_at_a_time(tmp_path):
    path = tmp_path / "results.csv"
    code = f"from pathlib import Path; from imagic.batch.results import Table; Table(Path({str(path)!r})).__enter__()"
    with Table(path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Another run writes to" in other.stderr
    assert "wait until it ends, or stop it." in other.stderr


def test_a_table_of_another_version(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("number,output\n1,a.png\n")
    with pytest.raises(NotWritten, match="has other columns than this version writes"), Table(path):
        pass
    assert path.read_text() == "number,output\n1,a.png\n"


FOREIGN = [
    b"number,output",
    b"number",
    b"my notes",
    b"a,b\n1,2",
    b"\0" * 100,
    b"x" * 100_000,
    b"number,output\n1,a.png",
]


@pytest.mark.parametrize("content", FOREIGN, ids=lambda content: content[:20])
def test_a_file_of_the_users_own_is_left_as_it_is(tmp_path, content):
    """Though its last line ends nowhere, as of ours the machine's end may leave it."""
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    for ask in (lambda: Table(path).__enter__(), lambda: check(path)):
        with pytest.raises(
            NotWritten, match="has other columns than this version writes: choose another output folder"
        ):
            ask()
        assert path.read_bytes() == content


def test_the_command_refuses_it_before_anything_is_written(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("photo,sentence\na.png,a dog\n")
    output = tmp_path / "out"
    output.mkdir()
    (output / "results.csv").write_text("my notes")
    assert main(["batch", str(tmp_path / "rows.csv"), str(output), "--model", "demo"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"imagic: {output / 'results.csv'} has other columns")
    assert [path.name for path in output.iterdir()] == ["results.csv"]
    assert (output / "results.csv").read_text() == "my notes"


@pytest.mark.parametrize("output", ["rows.csv", "rows.csv/out"])
@pytest.mark.parametrize("command", [["batch", "rows.csv"], ["bench", "tedbench", "--data", ".", "-o"]])
def test_a_file_is_no_folder_for_results(tmp_path, capsys, monkeypatch, command, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("photo,sentence\na.png,a dog\n")
    assert main([*command, output, "--model", "demo"]) == 2
    assert capsys.readouterr().err.endswith("rows.csv' is a file: name a folder for the results.\n")


@pytest.mark.parametrize("kept", [0, 3, 10, 43])
def test_a_heading_that_breaks_off_is_ours(tmp_path, kept):
    path, heading = tmp_path / "results.csv", (",".join(COLUMNS) + "\n").encode()
    path.write_bytes(heading[:kept])
    check(path)
    with Table(path):
        assert path.read_bytes() == heading


def test_a_line_that_somebody_wrote_into_is_left_out(tmp_path):
    path = tmp_path / "results.csv"
    with Table(path) as table:
        table.append(ONE)
        table.append(TWO)
    path.write_text(path.read_text().replace("1.500", "quick"))
    assert [result.number for result in read(path)] == [2]


FULL = """
import resource, sys
from pathlib import Path
from imagic.batch.results import COLUMNS, DONE, Result, Table
from imagic.whole_file import NotWritten
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
with Table(path) as table:
    try:
        for number in range(9):
            table.append(Result(number, f"{number}.png", DONE))
    except NotWritten as error:
        print(number, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
def test_a_line_that_does_not_fit_leaves_the_table_whole(tmp_path):
    path = tmp_path / "results.csv"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    number, _, sentence = done.stdout.partition(" ")
    assert "cannot be written, since it is larger than its disk or this process may hold" in sentence
    assert len(list(read(path))) == int(number) > 0
    assert path.read_bytes().endswith(b"\n")


def test_a_folder_has_one_kind_of_pictures(tmp_path):
    settings = Settings("demo", num_inference_steps=9, threads=3)
    keep(settings, tmp_path)
    keep(settings, tmp_path)
    with Table(tmp_path / "results-1-of-2.csv") as table:
        table.append(ONE)
    with pytest.raises(OtherSettings, match="holds pictures with num_inference_steps 9, not 20: choose another"):
        keep(Settings("demo", threads=3), tmp_path)
    assert chosen_threads(None, tmp_path) == 3
    assert chosen_threads(2, tmp_path) == 2
    with pytest.raises(ValueError, match="--threads is 0"):
        chosen_threads(0, tmp_path)


def test_a_command_that_made_no_picture_binds_nobody(tmp_path):
    """A mistyped model, for instance. A table of the user's own says nothing about it."""
    (tmp_path / "results_mine.csv").write_text("name,status\na,done\n")
    keep(Settings("no-such.safetensors"), tmp_path)
    with Table(tmp_path / "results.csv") as table:
        table.append(TWO)
    keep(Settings("demo", num_inference_steps=9), tmp_path)
    with Table(tmp_path / "results.csv") as table:
        table.append(ONE)
    with pytest.raises(OtherSettings, match="num_inference_steps 9, not 20"):
        keep(Settings("demo"), tmp_path)


def test_pictures_of_an_earlier_version_have_their_settings(tmp_path):
    keep(Settings("demo"), tmp_path)
    columns = COLUMNS[: COLUMNS.index("ended")]
    values = {"number": 1, "output": "a.png", "status": DONE, "seconds": 1, "evaluations": 9, "peak_mib": 0}
    lines = (columns, [str(values.get(name, "")) for name in columns])
    (tmp_path / "results.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    with pytest.raises(OtherSettings):
        keep(Settings("other"), tmp_path)


def test_a_run_that_has_no_picture_yet_keeps_its_settings(tmp_path):
    keep(Settings("demo"), tmp_path)
    with (
        Table(tmp_path / "results.csv"),
        pytest.raises(NotWritten, match=r"Another run writes to .*: wait until it ends"),
    ):
        keep(Settings("other"), tmp_path)
    keep(Settings("other"), tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotWritten), Table(tmp_path / "file" / "results.csv"):
        pass


@pytest.mark.parametrize("damage", ["", "[]", "{}", "{"])
def test_damaged_settings_bind_nobody_and_hide_no_pictures(tmp_path, damage):
    keep(Settings("demo"), tmp_path)
    (tmp_path / "settings.json").write_text(damage)
    assert chosen_threads(None, tmp_path) == torch.get_num_threads()
    with Table(tmp_path / "results.csv") as table:
        table.append(ONE)
    with pytest.raises(OtherSettings, match=r"is damaged, and .* holds pictures: choose another output folder"):
        keep(Settings("demo"), tmp_path)
    (tmp_path / "results.csv").unlink()
    keep(Settings("demo"), tmp_path)
    assert json.loads((tmp_path / "settings.json").read_text())["model"] == "demo"
