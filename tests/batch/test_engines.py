"""The same pictures to the byte, whoever makes them and whoever is killed meanwhile."""

import os
import resource
import signal
import sys
import time

import numpy as np
import pytest
from PIL import Image

from imagic.cli import main

from . import world
from .running import Batch, digests, done, rows, twice

ROWS, BAD = 24, 1 / 8
EXPECTED = {f"{number}.png" for number in range(ROWS) if number % 8 != 4}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    path = world.make(tmp_path_factory.mktemp("photos"), ROWS, BAD, per_photo=3)
    path.write_text(path.read_text().replace("a red dog", "a red unicorn"))  # of which the demo model's words warn
    return path


@pytest.fixture(scope="module")
def reference(manifest, tmp_path_factory):
    """One worker in this process, not disturbed."""
    output = tmp_path_factory.mktemp("reference")
    assert main(["batch", str(manifest), str(output), *world.QUICK]) == 3
    return output


def failures(output) -> dict[str, str]:
    return {row["number"]: row["error"] for row in rows(output) if row["status"] == "failed"}


def test_bad_rows_stop_nothing(reference):
    assert set(done(reference)) == set(digests(reference)) == EXPECTED
    assert [error.partition(":")[0] for error in failures(reference).values()] == [
        "strength is 'much'",
        "sentence is empty",
        "photo nowhere.png cannot be read (No such file or directory)",
    ]
    assert not list(reference.rglob("*.unfinished"))


def test_what_is_done_is_not_done_again(manifest, reference, capsys):
    before = (reference / "results.csv").read_bytes()
    assert main(["batch", str(manifest), str(reference), *world.QUICK]) == 3
    assert (reference / "results.csv").read_bytes() == before
    assert f"0 of {ROWS} pictures" in capsys.readouterr().out


def test_shards_are_the_whole(manifest, reference, tmp_path):
    for shard in ("1/2", "2/2"):
        main(["batch", str(manifest), str(tmp_path), *world.QUICK, "--shard", shard])
    assert digests(tmp_path) == digests(reference)
    assert failures(tmp_path) == failures(reference)
    assert twice(tmp_path) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are Linux's")
def test_a_full_disk_a_killed_worker_and_a_killed_run(manifest, reference, tmp_path):
    output = tmp_path / "out"
    full = Batch(manifest, output, *world.QUICK)
    full.wait_for(2)
    resource.prlimit(full.process.pid, resource.RLIMIT_FSIZE, (2000, 2000))  # less than a picture
    assert full.finish() == 1
    last = full.log.read_text().splitlines()[-1]
    assert last.endswith(
        "cannot be written, since it is larger than its disk or this process may hold in a file: save to another disk. "
        "What is done is kept: the same command goes on from there."
    )
    assert set(done(output)) == set(digests(output))
    before = len(full.log.read_text())
    batch = Batch(manifest, output, *world.QUICK, "--workers", "2")
    batch.wait_for(8)
    assert batch.kill_worker("local") < len(EXPECTED)
    batch.wait_for(14)
    batch.kill()
    said = batch.log.read_text()[before:]
    assert "\nimagic: The demo model does not know 'unicorn'" in said
    assert "UserWarning" not in said
    assert len(done(output)) < len(EXPECTED)
    assert main(["batch", str(manifest), str(output), *world.QUICK]) == 3
    assert digests(output) == digests(reference)
    assert failures(output) == failures(reference)
    assert twice(output) == 0
    assert not list(output.rglob("*.unfinished"))


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C for a group of processes there")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_is_one_sentence_that_says_how_to_go_on(manifest, tmp_path):
    """A terminal sends it to all processes. The workers, which are still importing, say nothing of their own."""
    batch = Batch(manifest, tmp_path / "out", *world.QUICK, "--workers", "2")
    end = time.monotonic() + 60
    while len(workers := batch.workers("local")) < 2 or min(each.cpu_times().user for each in workers) < 0.2:
        assert time.monotonic() < end, batch.log.read_text()
        time.sleep(0.02)
    for worker in workers:  # first, or they might be ended before they could say anything
        worker.send_signal(signal.SIGINT)
    time.sleep(0.5)
    os.killpg(batch.process.pid, signal.SIGINT)
    assert batch.finish() == 130
    *before, last = batch.log.read_text().splitlines()
    assert last == "imagic: stopped. What is done is kept: the same command goes on from there."
    assert [line.partition(":")[0] for line in before] == ["Row 13", "Row 21"]


def test_ray_with_a_lost_worker(manifest, reference, tmp_path):
    output = tmp_path / "out"
    batch = Batch(manifest, output, *world.QUICK, "--engine", "ray", "--workers", "2", "--send-photos")
    batch.wait_for(3)
    assert batch.kill_worker("ray") < len(EXPECTED)
    assert batch.finish() == 3, batch.log.read_text()
    assert "deprecated" not in batch.log.read_text()
    assert digests(output) == digests(reference)
    assert failures(output) == failures(reference)
    assert twice(output) == 0


def test_an_edit_is_put_back_into_the_photo_at_its_size(tmp_path):
    """The row without a mask is found one by the model."""
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8))
    photo.save(tmp_path / "photo.png")
    mask = Image.new("L", photo.size)
    mask.paste(255, (120, 0, 200, 150))
    mask.save(tmp_path / "mask.png")
    lines = "photo,sentence,caption,mask,output\nphoto.png,a blue dog,a dog,mask.png,a.png\n"
    (tmp_path / "rows.csv").write_text(lines + "photo.png,a blue dog,a dog,,b.png\n")
    command = ["batch", str(tmp_path / "rows.csv")]
    assert main([*command, str(tmp_path / "out"), *world.QUICK]) == 0
    assert main([*command, str(tmp_path / "drawn"), *world.QUICK, "--as-drawn"]) == 0
    for name in ("a.png", "b.png"):
        assert Image.open(tmp_path / "out" / name).size == photo.size
        assert Image.open(tmp_path / "drawn" / name).size != photo.size
    edited = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    np.testing.assert_array_equal(edited[:, :80], np.asarray(photo)[:, :80])  # far from the mask
    assert (edited[:, 130:] != np.asarray(photo)[:, 130:]).any()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "demo", "--shard", "3/2"], "--shard is '3/2'"),
        (["--model", "demo", "--workers", "0"], "--workers is 0"),
        (["--model", "demo", "--strength", "9"], "--strength is 9"),
        (["--model", "demo", "--embedding-steps", "0"], "--embedding-steps is 0"),
        (["--model", "demo", "--tuning-steps", "-1"], "--tuning-steps is -1"),
        (["--model", "demo", "--size", "0"], "--size is 0"),
        ([], "--model is missing"),
        (["--engine", "comfyui"], "--engine comfyui needs --servers URL,URL and --workflow FILE"),
        (
            ["--engine", "comfyui", "--servers", "x", "--workflow", "a.json"],
            "--servers has 'x', no server's address: write http://127.0.0.1:8188, say.",
        ),
        (
            ["--engine", "comfyui", "--servers", " ,", "--workflow", "a.json"],
            "--engine comfyui needs --servers URL,URL",
        ),
        (["--model", "demo", "--engine", "ray", "--gpus-per-worker", "-1"], "--gpus-per-worker is -1"),
        (["--model", "demo", "--threads", "0"], "--threads is 0: set it between 1 and 1024."),
        (["--servers", "a:1"], "--servers is for --engine comfyui: add that, or leave it out."),
        (["--model", "demo", "--address", "auto"], "--address is for --engine ray: add that, or leave it out."),
    ],
)
def test_a_command_that_cannot_be(manifest, tmp_path, capsys, arguments, sentence):
    output = tmp_path / "out"
    assert main(["batch", str(manifest), str(output), *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not output.exists()


def test_a_model_that_is_not_there(manifest, tmp_path, capsys):
    command = ["batch", str(manifest), str(tmp_path / "out"), "--model", str(tmp_path), "--instant"]
    assert main(command) == 2
    assert "has no model_index.json" in capsys.readouterr().err
    (tmp_path / "model_index.json").write_text("{}")
    assert main(command) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be loaded: it has no '_class_name'." in last
    assert last.endswith("What is done is kept: the same command goes on from there.")
