"""Manifests are read row by row; whatever is wrong with one is told in one sentence that says what to change."""

import json
import tracemalloc

import pytest

from imagic.batch.manifest import BadRow, Manifest, NotAManifest, Row

GOOD = {"photo": "a.png", "sentence": "a dog"}


def csv_file(folder, *lines: str):
    path = folder / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def jsonl(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_csv_and_jsonl_say_the_same(tmp_path):
    heading = "photo,sentence,caption,mask,seed,strength,output"
    line = 'cats/a.png,"a dog, sitting",a cat,m.png,7,0.9,out/a.jpg'
    values = ["cats/a.png", "a dog, sitting", "a cat", "m.png", 7, 0.9, "out/a.jpg"]
    row = Row(1, *values)
    assert list(Manifest(csv_file(tmp_path, heading, line))) == [row]
    assert list(Manifest(jsonl(tmp_path, dict(zip(heading.split(","), values, strict=True))))) == [row]


def test_what_a_row_leaves_out_is_the_commands(tmp_path):
    path = csv_file(tmp_path, "\ufeffPhoto, sentence", "cats/a.jpg,a dog")
    assert list(Manifest(path)) == [Row(1, "cats/a.jpg", "a dog", output="a-1.png")]
    assert next(iter(Manifest(path, seed=3, strength=0.7))).strength == 0.7
    assert next(iter(Manifest(path, seed=3))).seed == 3


def test_a_row_has_the_columns_that_a_workflow_asks_for(tmp_path):
    path = csv_file(tmp_path, "photo,sentence,cfg", "a.png,a dog,4")
    assert next(iter(Manifest(path, frozenset({"cfg"})))).more == {"cfg": "4"}
    with pytest.raises(NotAManifest, match="a column 'cfg': the columns are photo, sentence"):
        list(Manifest(path))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"photo": ""}, "photo is empty"),
        ({"sentence": " "}, "sentence is empty"),
        ({"seed": "x"}, "seed is 'x': set it to a whole number"),
        ({"seed": -1}, "seed is -1: set it between"),
        ({"seed": 1.5}, "seed is '1.5': set it to a whole number"),
        ({"strength": "nan"}, "strength is nan: set it between -2 and 3"),
        ({"strength": [1]}, "strength is of type list: give it a text"),
        ({"output": "../a.png"}, "give a name inside the output folder"),
        ({"output": "/a.png"}, "give a name inside the output folder"),
        ({"output": "C:\\a.png"}, "give a name inside the output folder"),
        ({"output": "a.gif"}, "end it in one of .png"),
        ({"output": "a"}, "end it in one of .png"),
        ({"output": ".imagic-x.unfinished/a.png"}, "choose another name"),
        ({"output": ".imagic/a.png"}, "choose another name"),
        ({"caption": "a\0b"}, "save the manifest as UTF-8"),
        ({"photo": "a\ud83d.png"}, "photo holds characters that are no text"),
        ({"output": "a\rb.png"}, "output is 'a\\rb.png': choose another name"),
        ({"output": f"{'ä' * 126}.png"}, "shorten each name in it to 255 bytes"),
        ({"prompt": "x"}, "a column 'prompt'"),
    ],
)
def test_a_bad_row_is_told_and_the_next_is_read(tmp_path, change, sentence):
    bad, good = Manifest(jsonl(tmp_path, GOOD | change, GOOD))
    assert isinstance(bad, BadRow)
    assert sentence in bad.error
    assert bad.number == 1
    assert good == Row(2, "a.png", "a dog", output="a-2.png")


def test_a_bad_row_repeats_its_output_only_where_a_table_can_show_it(tmp_path):
    outputs = ["../a.png", "a\rb.png", "a\ud83d.png", "a" * 300 + ".png"]
    assert [bad.output for bad in Manifest(jsonl(tmp_path, *(GOOD | {"output": each} for each in outputs)))] == [
        "../a.png",
        "",
        "",
        "",
    ]


def test_a_picture_of_a_photo_with_a_long_name_has_a_shorter_one(tmp_path):
    photos = [GOOD | {"photo": f"{stem}.jpg"} for stem in ("a", "a" * 251, "ä" * 125)]
    short, ascii_, umlauts = Manifest(jsonl(tmp_path, *photos))
    assert short.output == "a-1.png"
    assert ascii_.output == "a" * 249 + "-2.png"
    assert umlauts.output == "ä" * 124 + "-3.png"


def test_lines_that_are_no_rows(tmp_path):
    bad = list(Manifest(jsonl(tmp_path, "{", "[1]", "[" * 100_000, GOOD)))
    assert [type(row) for row in bad] == [BadRow, BadRow, BadRow, Row]
    bad = list(Manifest(csv_file(tmp_path, "photo,sentence", "a.png,a dog, sitting", "a.png", "b.png,a dog")))
    assert [type(row) for row in bad] == [BadRow, BadRow, Row]
    assert "It has 3 cells and the heading 2: put quotes around texts with commas." in bad[0].error


def test_empty_lines_are_no_rows_but_count(tmp_path):
    """Spreadsheets write commas alone for a row that was cleared. Those behind it keep their numbers and names."""
    first, second = Manifest(csv_file(tmp_path, "photo,sentence", "a.png,a dog", " ,", "", ",", "b.png,a dog", ",", ""))
    assert (first.number, second.number, second.output) == (1, 5, "b-5.png")
    (row,) = Manifest(jsonl(tmp_path, "", GOOD, " "))
    assert row.number == 2


def test_a_name_that_a_row_of_json_has_twice(tmp_path):
    twice = '{"photo": "a.png", "sentence": "a dog", "sentence": "a cat"}'
    bad, good = Manifest(jsonl(tmp_path, twice, GOOD))
    assert bad.error == "The row has 'sentence' twice: keep one of them."
    assert good == Row(2, "a.png", "a dog", output="a-2.png")


@pytest.mark.parametrize("length", [1_000_000, 1_000_001, 2_500_000])
def test_a_line_that_is_too_long_is_one_bad_row(tmp_path, length):
    long = f"a.png,{'x' * (length - 6)}"
    bad, good = Manifest(csv_file(tmp_path, "photo,sentence", long, "b.png,a dog"))
    assert bad.error == "It is longer than 1000000 characters: shorten its texts."
    assert (good.number, good.photo) == (2, "b.png")
    (last,) = Manifest(csv_file(tmp_path, "photo,sentence", long))
    assert last == bad
    bad_json, good_json = Manifest(jsonl(tmp_path, "x" * length, GOOD))
    assert (bad_json, good_json.number) == (bad, 2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_of_every_system(tmp_path, end):
    path = tmp_path / "rows.csv"
    path.write_bytes(end.join(["photo,sentence", "a.png,a dog", "b.png,a cat"]).encode())
    assert [(row.photo, row.sentence) for row in Manifest(path)] == [("a.png", "a dog"), ("b.png", "a cat")]


@pytest.mark.parametrize("line", ['a.png,"a dog', 'a.png,"a "big" dog"', 'a.png,"a dog" x'])
def test_a_wrong_quote_takes_no_other_row_with_it(tmp_path, line):
    path = csv_file(tmp_path, "photo,sentence", line, "b.png,a cat", 'c.png,"a cat, sitting"', "d.png,a cat")
    bad, *rows = Manifest(path)
    assert bad.number == 1
    assert bad.error.endswith("close each quote in its own line, and double quotes in a text.")
    assert [(row.number, row.sentence) for row in rows] == [(2, "a cat"), (3, "a cat, sitting"), (4, "a cat")]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", "photo,sentence", "ends in .csv or .jsonl"),
        ("a.csv", "", "has no column photo"),
        ("a.csv", "photo,sentence\n", "has no rows"),
        ("a.csv", "photo,text\n", "a column 'text'"),
        ("a.csv", 'photo,"sentence\na.png,a dog\n', "The heading of a.csv cannot be read as CSV"),
        ("a.csv", "photo,sentence,Sentence\n", "has the column sentence twice: keep one of them."),
        (
            "a.csv",
            "photo;sentence\na.png;a dog\n",
            "has semicolons between its columns: save the manifest with commas",
        ),
        (
            "a.csv",
            '"sentence"\t"photo"\n',
            "has tabs between its columns: save the",
        ),
        (
            "a.csv",
            "sentence | photo\n",
            "has bars between its columns: save the",
        ),
        ("a.csv", "photo,sentence,;\n", "The heading of a.csv has a column ';': the columns are photo"),
        ("a.csv", "photo,sentence,\n", "The heading of a.csv has a column '': the columns are photo"),
        ("a.csv", "x" * 1_000_001, "The heading of a.csv is longer than 1000000 characters: write the columns into"),
        (
            "a.csv",
            "\ufffdphoto,sentence\n",
            "The heading of a.csv holds characters that are no text: save the",
        ),
        ("a.jsonl", "\n\n", "has no rows"),
    ],
)
def test_files_that_are_no_manifests(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(NotAManifest, match=sentence):
        list(Manifest(tmp_path / name))
    with pytest.raises(NotAManifest, match="correct its path"):
        list(Manifest(tmp_path / "none.csv"))


def test_a_long_manifest_takes_no_memory(tmp_path):
    path = csv_file(tmp_path, "photo,sentence", *(f"{number}.png,a dog" for number in range(20_000)))
    tracemalloc.start()
    assert sum(1 for _ in Manifest(path)) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000
