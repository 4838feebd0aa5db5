"""A benchmark's run with an engine that gives each photo back: what is counted, kept and told."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imagic.batch.editor import Finished, encode, failed, picture
from imagic.batch.results import DONE, Result
from imagic.batch.settings import Settings
from imagic.bench import report, run, tedbench
from imagic.bench.metrics import Metrics
from imagic.bench.pairs import NotABenchmark, Pair
from imagic.cli import main

from . import miniatures


class Copies:
    """An engine of photos as they are. It cannot do some sentences."""

    def __init__(self, *impossible: str):
        self.impossible = impossible
        self.settings: list[Settings] = []

    def __call__(self, settings, folder, output):
        self.settings.append(settings)
        return lambda units: (self._row(row, folder) for unit in units for row in unit)

    def _row(self, row, folder) -> Finished:
        if row.sentence in self.impossible:
            return failed(row, "It cannot be done.")
        try:
            content = encode(picture("photo", row.photo, folder), row.output)
        except ValueError as error:
            return failed(row, str(error))
        return Finished(Result(row.number, row.output, DONE, 1.0, key=row.key), {row.output: content})


@pytest.fixture
def folder(tmp_path):
    return miniatures.tedbench(tmp_path)


def bench(folder, engine=None, metrics=None, methods=("default",), count=None, **settings) -> dict:
    pairs, engine, metrics = tedbench.read(folder)[:count], engine or Copies(), metrics or Metrics(None)
    return run.run("tedbench", pairs, folder / "out", Settings("demo", **settings), engine, metrics, methods)


@pytest.mark.parametrize("broken", ["originals/dog_1.png", "imagic/dog_1.png-A_photo_of_a_blue_dog.png"])
def test_a_picture_that_cannot_be_read_costs_the_report_that_pair_alone(folder, broken):
    (folder / broken).write_text("no picture")
    content = bench(folder)
    assert set(content["pairs"][run.PUBLISHED]) == {"001"}
    assert "001" in content["pairs"]["default"]
    (note,) = [note for note in content["notes"] if note.startswith("1 pairs in published.json could not be measured")]
    assert "first 000: picture " in note
    assert note in (folder / "out" / "RESULTS.md").read_text()
    with Image.open(folder / "out" / "sheet-1.jpg") as sheet:
        assert sheet.width == 3 * report.SIDE


def test_figures_are_kept_as_they_are_measured(folder, monkeypatch):
    class Stopped(Metrics):
        def of(self, *arguments):
            if list((folder / "out").glob("default.json")):
                raise KeyboardInterrupt
            return super().of(*arguments)

    monkeypatch.setattr(run, "KEEP_EVERY", 1)
    with pytest.raises(KeyboardInterrupt):
        bench(folder, metrics=Stopped(None))
    assert set(json.loads((folder / "out" / "default.json").read_text())) == {"000"}


def test_a_picture_of_an_earlier_target_does_not_count(folder):
    assert set(bench(folder)["pairs"]["default"]) == {"000", "001"}
    entries = json.loads((folder / "input_list.json").read_text())
    entries[0]["target_text"] = "a red dog"
    (folder / "input_list.json").write_text(json.dumps(entries))
    content = bench(folder, Copies("a red dog"))
    assert set(content["pairs"]["default"]) == {"001"}
    assert any(note.startswith("1 pairs could not be edited by default") for note in content["notes"])
    assert content["failed"] == 1


def test_an_edit_counts_as_long_as_its_picture_is_there(folder):
    bench(folder, methods=["paper"])
    (folder / "out" / "paper" / "000.png").unlink()
    content = bench(folder)
    assert set(content["pairs"]["paper"]) == {"001"}
    assert "1 pairs were not edited by paper yet: add it to --methods." in content["notes"]


def test_an_edit_of_a_photo_that_was_replaced_counts_no_more(folder):
    assert set(bench(folder)["pairs"]["default"]) == {"000", "001"}
    (folder / "originals" / "dog_1.png").write_text("no picture")
    content = bench(folder)
    assert set(content["pairs"]["default"]) == {"001"}
    assert content["failed"] == 1


def test_the_report_tells_what_is_not_as_usual_and_what_cannot_be_compared(folder):
    content = bench(folder, size=64, embedding_steps=2)
    assert content["about"] == "2 pairs with demo, 20 sampling steps, size 64, steps of A 2."
    (note,) = [note for note in content["notes"] if note.startswith("default: put back into the photo")]
    text = (folder / "out" / "RESULTS.md").read_text()
    assert note in text
    assert f"| {run.PUBLISHED} | 2 |" in text  # pictures, whether there is a figure of them or not


def test_methods_of_two_runs_are_in_one_report(folder):
    """In the same order, whichever came first. Only those that are asked for are run."""
    engine = Copies()
    first = bench(folder, engine, methods=["paper"])
    content = bench(folder, engine, methods=["default"])
    assert [settings.recipe for settings in engine.settings] == ["paper", "default"]
    assert list(content["summary"]) == ["default", "paper", run.PUBLISHED]
    assert content["summary"]["paper"] == first["summary"]["paper"]
    assert "| paper | 2 |" in (folder / "out" / "RESULTS.md").read_text()
    with Image.open(folder / "out" / "sheet-1.jpg") as sheet:
        assert sheet.width == 4 * report.SIDE


def test_a_report_has_no_method_of_other_settings_and_tells_what_is_not_done_yet(folder):
    bench(folder, methods=["paper"], num_inference_steps=9)
    bench(folder, methods=["sdedit"], count=1)
    content = bench(folder)
    assert list(content["summary"]) == ["default", "sdedit", run.PUBLISHED]
    assert (
        f"Not in this report: paper, whose pictures in {folder / 'out' / 'paper'} were made with "
        "num_inference_steps 9, not 20."
    ) in content["notes"]
    assert "1 pairs were not edited by sdedit yet: add it to --methods." in content["notes"]
    assert content["failed"] == 0
    (folder / "out" / "sdedit" / "settings.json").write_text("{")
    assert list(bench(folder)["summary"]) == ["default", run.PUBLISHED]


def test_a_folder_of_a_method_that_made_nothing_is_no_part_of_a_report(folder):
    bench(folder, Copies("A photo of a blue dog.", "A cat wearing a hat"), methods=["paper"], num_inference_steps=9)
    content = bench(folder)
    assert list(content["summary"]) == ["default", run.PUBLISHED]
    assert not [note for note in content["notes"] if "paper," in note]


@pytest.mark.parametrize(("side", "shown"), [(64, 256), (100, 200), (128, 256), (200, 200), (512, 256)])
def test_small_pictures_are_enlarged_on_a_sheet(tmp_path, side, shown):
    Image.new("RGB", (side, side), "red").save(tmp_path / "photo.png")
    report.sheets(tmp_path, [Pair("0", tmp_path / "photo.png", "a dog, 一只狗")], {})
    with Image.open(tmp_path / "sheet-1.jpg") as sheet:
        red = np.asarray(sheet).astype(int)
    assert abs(int((red[:, 5, 0] - red[:, 5, 1] > 128).sum()) - shown) <= 1


@pytest.mark.parametrize("entries", [[], {}, [{"img_name": 5, "target_text": "a dog"}], [{"img_name": "dog_1.png"}]])
def test_a_list_without_pairs_is_no_benchmark(folder, entries):
    (folder / "input_list.json").write_text(json.dumps(entries))
    with pytest.raises(NotABenchmark, match="is no list of img_name and target_text: give --data"):
        tedbench.read(folder)


def test_a_run_goes_on_with_as_many_threads_as_it_began_with(folder, monkeypatch):
    """Another machine, or another job on it, may have other ones."""
    engine = Copies()
    for threads in (3, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        bench(folder, engine)
    assert [settings.threads for settings in engine.settings] == [3, 3]


@pytest.mark.parametrize(
    ("captions", "sentence"),
    [
        ('["a dog"]', "does not say in a text what each photo shows: give --captions a file"),
        ('{"dog_1.png": 1}', "does not say in a text what each photo shows: give --captions a file"),
        ("{", "is no JSON: give --captions a file"),
        (None, "There is no "),
    ],
)
def test_captions_that_are_none(folder, capsys, captions, sentence):
    path = folder / "captions.json"
    if captions is not None:
        path.write_text(captions)
    command = ["bench", "tedbench", "--data", str(folder), "--model", "demo", "-o", str(folder / "out")]
    assert main([*command, "--captions", str(path)]) == 2
    assert sentence in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_ctrl_c_says_how_to_go_on(folder, capsys, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("imagic.batch.engines.local.run", stopped)
    command = ["bench", "tedbench", "--data", str(folder), "--model", "demo", "-o", str(folder / "out")]
    assert main(command) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "imagic: stopped. What is done is kept: the same command goes on from there."


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--weights", "none"], "--weights is 'none': there is no such folder."),
        (["--pairs", "3"], "--pairs is 3: set it between 1 and 2."),
        (["--num-inference-steps", "0"], "--num-inference-steps is 0: set it between 1 and 1000."),
        (["--workers", "0"], "--workers is 0: set it between 1 and 10000."),
        (["--address", "auto"], "--address is for --engine ray: add that, or leave it out."),
        (["--model", "none.safetensors"], "model is 'none.safetensors': there is no such file."),
    ],
)
def test_a_wrong_option_is_misuse(folder, capsys, options, sentence):
    command = ["bench", "tedbench", "--data", str(folder), "--model", "demo", "-o", str(folder / "out")]
    assert main([*command, *options]) == 2
    assert capsys.readouterr().err == f"imagic: {sentence}\n"
    assert not (folder / "out").exists()


def test_steps_are_checked_before_anything_is_written(folder, capsys):
    command = ["bench", "tedbench", "--data", str(folder), "--model", "demo", "-o", str(folder / "out")]
    assert main([*command, "--embedding-steps", "0"]) == 2
    assert "--embedding-steps is 0" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_results_do_not_go_into_the_folder_of_the_data(folder, capsys, monkeypatch):
    """Which is called tedbench as well, as it is published."""
    monkeypatch.chdir(folder.parent)
    Path("tedbench-results").touch()
    assert main(["bench", "tedbench", "--data", str(folder), "--model", "demo"]) == 2
    assert "'tedbench-results' is a file: name a folder for the results." in capsys.readouterr().err
