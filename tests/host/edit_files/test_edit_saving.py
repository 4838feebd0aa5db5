"""What keeps Save Imagic Edit from saving is one sentence, and nothing half-written stays."""

import importlib
import os
import stat
import subprocess
import sys

import pytest

from scripts import hosts

resource = pytest.importorskip("resource", reason="Windows has other disks, users and signals")


def refused_before_the_graph_runs(studio, save, output, name: str, sentence: str) -> None:
    with pytest.raises(OSError, match=rf"cannot be written, since {sentence}.*\.$") as error:
        save(name)
    assert "\n" not in str(error.value)
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS(name=name) == str(error.value)


def test_a_folder_that_is_a_file(studio, save, output):
    output.mkdir(parents=True)
    (output / "cats").write_text("a file")
    for name in ("cats/tom", "cats/black/tom"):
        refused_before_the_graph_runs(studio, save, output, name, "a file is where its folder would be: rename")
    assert [path.name for path in output.rglob("*")] == ["cats"]


def test_the_folder_of_all_edits_that_is_a_file(studio, save, output):
    output.parent.mkdir()
    output.write_text("a file")
    refused_before_the_graph_runs(studio, save, output, "tom", "a file is where its folder would be: rename")
    assert output.read_text() == "a file"


def test_a_link_that_leads_back_to_itself(studio, save, load, output):
    output.mkdir(parents=True)
    (output / "loop").symlink_to(output / "loop")
    refused_before_the_graph_runs(studio, save, output, "loop/tom", "a link on the way leads back to itself: remove")
    with pytest.raises(ValueError, match=r"choose an edit from the list\.$"):
        load("loop/tom.safetensors")


def test_a_folder_that_nobody_may_write_to(save, output, monkeypatch):
    monkeypatch.setattr(importlib.import_module("folder_paths"), "output_directory", "/sys")
    with pytest.raises(OSError, match=r"^/sys/imagic/tom cannot be written, since nothing may be written there: .*\.$"):
        save("tom")


def test_a_disk_that_does_not_hold_it(save, output):
    save()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**15, before[1]))
    try:
        with pytest.raises(
            OSError, match=r"edit_00002_.safetensors cannot be written, since it is larger than its disk"
        ):
            save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in output.rglob("*")] == ["edit_00001_.safetensors"]


def test_a_saved_edit_has_the_mode_of_other_files(save, output):
    before = os.umask(0o026)
    try:
        path = output / save()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def hidden(output) -> list:
    return [path for path in output.rglob("*") if path.name.startswith(".")]


def test_kills_leave_nothing_after_the_next_save_or_load(save, load, output, figures):
    name = save()
    kills = [sys.executable, "-m", "tests.killed", str(output / "cats")]
    (output / "cats").mkdir()
    told = subprocess.run([*kills, "40"], cwd=hosts.ROOT, check=True, text=True, capture_output=True).stdout
    assert int(told) > 0
    save("dogs/rex")
    figures["leftovers"] = len(hidden(output))
    assert hidden(output) == []
    subprocess.run([*kills, "3"], cwd=hosts.ROOT, check=True, capture_output=True)
    load(name)
    assert hidden(output) == []
