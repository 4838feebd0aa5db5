"""A file is written whole or not at all, the system's errors are sentences, and kills leave nothing for long."""

import os
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from imagic import edit_file
from imagic.whole_file import NotWritten, sweep, whole
from tests import killed

resource = pytest.importorskip("resource", reason="Windows has other disks, users and signals")

ROOT = Path(__file__).parents[2]
NOWHERE = Path("/sys/x.safetensors")  # not even root may make files there


@contextmanager
def files_of_at_most(size: int):
    """The system refuses longer ones, as it does on a disk that cannot hold them."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_too_large_for_the_disk_leaves_the_one_before_it_and_nothing_else(tmp_path):
    path = tmp_path / "x.safetensors"
    saved = killed.edit()
    edit_file.save(saved, path)
    before = path.read_bytes()
    sentence = r"x.safetensors cannot be written, since it is larger than its disk .* may hold in a file: .*\.$"
    with files_of_at_most(2**20), pytest.raises(NotWritten, match=sentence):
        edit_file.save(saved, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def fill(path: Path) -> None:
    """Write to a disk that is full instead."""
    with whole(path):
        Path("/dev/full").write_text("x")


def test_a_full_disk_is_one_sentence(tmp_path):
    with pytest.raises(NotWritten, match=r"x.safetensors cannot be written, since its disk is full: free some space"):
        fill(tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_nobody_may_write_to():
    with pytest.raises(NotWritten, match=r"^/sys/x.safetensors cannot be written, since nothing may be written there:"):
        edit_file.save(killed.edit(), NOWHERE)


def test_folders_that_are_none(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, sentence in {
        "file/x": "a file is where its folder would be: rename that file",
        "loop/x": "a link on the way leads back to itself: remove the link",
        "none/x": "its folder is not there: make it first",
        "y" * 255 + "z": "its name is too long: shorten it",
    }.items():
        with pytest.raises(NotWritten, match=rf"cannot be written, since {sentence}.*\.$"):
            edit_file.save(killed.edit(), tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_has_the_mode_that_files_have_here(tmp_path, mask):
    before = os.umask(mask)
    try:
        edit_file.save(killed.edit(), tmp_path / "x.safetensors")
        (tmp_path / "y").touch()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x.safetensors", "y")]
    assert modes[0] == modes[1] == 0o666 & ~mask


def python(*arguments: str, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, **options)


def test_kills_leave_nothing_after_the_next_save(tmp_path):
    told, _ = python("-m", "tests.killed", str(tmp_path), "40").communicate()
    assert int(told) > 0
    edit_file.save(killed.edit(), tmp_path / "last.safetensors")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name for name in names if not name[0].isdigit()] == ["last.safetensors"]
    for name in names:
        assert torch.equal(edit_file.load(tmp_path / name).update["a.diff"], torch.ones(1024, 2048))


def test_the_next_load_sweeps_too_and_what_versions_before_left(tmp_path):
    path = tmp_path / "x.safetensors"
    edit_file.save(killed.edit(), path)
    (tmp_path / ".x.safetensors.123.unfinished").write_bytes(b"half")
    (tmp_path / ".imagic-123.unfinished").mkdir()
    (tmp_path / ".imagic-123.unfinished" / ".tmpXYZ").write_bytes(b"half")
    (tmp_path / ".x.unfinished").write_bytes(b"of another program")
    edit_file.load(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".x.unfinished", "x.safetensors"]


WRITER = """
import sys
from pathlib import Path
from imagic.whole_file import whole
with whole(Path(sys.argv[1])) as unfinished:
    unfinished.write_bytes(b"half")
    print("begun", flush=True)
    sys.stdin.readline()
    unfinished.write_bytes(b"whole")
"""


def test_what_a_living_process_saves_is_left_to_it(tmp_path):
    path = tmp_path / "x"
    with python("-c", WRITER, str(path), stdin=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == "begun\n"
        sweep(tmp_path)
        edit_file.save(killed.edit(), tmp_path / "y.safetensors")
        with whole(tmp_path / "z") as unfinished:  # in this process as well
            unfinished.write_bytes(b"z")
            edit_file.save(killed.edit(), tmp_path / "y.safetensors")
        writer.communicate("go on\n")
    assert path.read_bytes() == b"whole"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x", "y.safetensors", "z"]
