"""Finished stages on disk: exact, bounded, and never an error."""

import contextlib
import multiprocessing
import os
import random
import re
import shutil

import pytest
import torch

from imagic import finished
from imagic.finished import SUFFIX, Finished
from imagic.training import History

MEGABYTE = 2**20


def stage(seed: int = 0, numbers: int = 256):
    """A result: tensors in an order that is not that of their names, of all kinds, two in one memory."""
    made = torch.randn(numbers, generator=torch.Generator().manual_seed(seed))
    tensors = {"b": made, "a": made[: numbers // 2], "half": made.bfloat16(), "one": torch.tensor(4.0)}
    tensors |= {"mask": made > 0, "turned": made.view(2, -1).t()}
    return tensors, History([0.1, 1 / 3, 2e-9], 0.7 + seed, 1e-17, 42)


def same(one, other) -> bool:
    (tensors, history), (others, other_history) = one, other
    return (
        list(tensors) == list(others)
        and all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())
        and all(tensor.dtype == others[name].dtype for name, tensor in tensors.items())
        and history == other_history
    )


@pytest.fixture
def store(tmp_path):
    return Finished(tmp_path / "user" / "finished", MEGABYTE)


def files(store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_what_is_kept_comes_back_bit_by_bit(store):
    assert store.get("a") is None
    assert store.put("a", stage(1)) is None
    assert store.put("b", stage(2)) is None
    assert same(store.get("a"), stage(1))
    assert same(store.get("b"), stage(2))
    assert same(Finished(store.folder, MEGABYTE).get("a"), stage(1))
    assert store.get("c") is None
    assert files(store) == [f"a{SUFFIX}", f"b{SUFFIX}"]


def test_a_stage_does_not_depend_on_its_file_afterwards(store):
    store.put("a", stage(1))
    found = store.get("a")
    (store.folder / f"a{SUFFIX}").write_bytes(b"")
    assert same(found, stage(1))


def test_the_one_that_was_used_longest_ago_goes_first(store):
    size = MEGABYTE // 4 // 10  # four tensors of 4 bytes a number, and some more: about a quarter each
    for place in range(3):
        store.put(f"{place}", stage(place, size))
        os.utime(store.folder / f"{place}{SUFFIX}", (1000 + place, 1000 + place))
    store.folder.joinpath("mine.txt").write_text("x" * 100)
    assert store.get("0")
    for place in range(3, 6):
        assert store.put(f"{place}", stage(place, size)) is None
        assert sum(path.stat().st_size for path in store.folder.glob(f"*{SUFFIX}")) <= MEGABYTE
        store.get("0")
    assert store.get("0")
    assert store.get("5")
    assert store.get("1") is None
    assert "mine.txt" in files(store)


def test_one_larger_than_half_of_it_all_is_not_kept_and_drives_nothing_out(store):
    store.put("small", stage())
    assert re.fullmatch(
        r"It takes 0\.\d+ GB, more than half of the 0\.00105 GB for all trainings\.",
        store.put("large", stage(0, MEGABYTE // 8)),
    )
    assert files(store) == [f"small{SUFFIX}"]
    assert "more than half of the 0 GB" in Finished(store.folder, 0).put("any", stage())


def damages(whole: bytes):
    choose = random.Random(0)
    yield b""
    yield b"\0" * len(whole)
    yield whole + b"\0"
    yield whole.replace(b"names", b"nemas")
    yield whole.replace(b'\\"b\\"', b'\\"c\\"', 1)
    yield whole.replace(b"42", b"43", 1)
    for _ in range(60):
        at = choose.randrange(len(whole))
        yield whole[:at]
        yield whole[:at] + bytes([whole[at] ^ 1 << choose.randrange(8)]) + whole[at + 1 :]


def test_a_damaged_file_is_removed_and_counts_as_none(store):
    store.put("a", stage())
    path = store.folder / f"a{SUFFIX}"
    whole, refused = path.read_bytes(), 0
    for damaged in damages(whole):
        path.write_bytes(damaged)
        found = store.get("a")
        assert found is None or same(found, stage())  # a changed blank in the header, say
        assert path.exists() == (found is not None)
        refused += found is None
    assert refused > 110
    assert store.put("a", stage()) is None
    assert same(store.get("a"), stage())


@contextlib.contextmanager
def files_left(count: int):
    """This process may open so many more files."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(128, hard), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(count):
            os.close(held.pop())
        yield
    finally:
        for file in held:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("count", [0, 1])
def test_a_good_file_that_cannot_be_opened_now_stays(store, count):
    store.put("a", stage())
    with files_left(count):
        found = store.get("a")
    assert found is None
    assert same(store.get("a"), stage())


def test_a_good_file_that_cannot_be_read_now_stays(store, monkeypatch):
    def failing(path, framework):
        raise OSError(5, "Input/output error")

    store.put("a", stage())
    with monkeypatch.context() as patch:
        patch.setattr(finished, "safe_open", failing)
        assert store.get("a") is None
    assert same(store.get("a"), stage())


def test_a_folder_in_the_files_place_and_a_file_in_the_folders_are_no_error(store, tmp_path):
    (store.folder / f"a{SUFFIX}").mkdir(parents=True)
    assert store.get("a") is None
    assert f"a{SUFFIX} cannot be written, since" in store.put("a", stage())
    shutil.rmtree(store.folder)
    store.folder.write_text("x")
    assert store.get("a") is None
    assert "since a file is where its folder would be" in store.put("a", stage())


def test_a_disk_that_is_full_is_no_error_and_leaves_nothing(store, monkeypatch):
    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(finished, "save_file", full)
    assert "since its disk is full: free some space" in store.put("a", stage())
    assert files(store) == []


def work(folder, place: int) -> int:
    """Keeps and reads stages that others keep and drive out; returns how many came back."""
    store, choose, found = Finished(folder, MEGABYTE // 2), random.Random(place), 0
    for _ in range(60):
        number = choose.randrange(12)
        if (there := store.get(f"{number}")) is None:
            store.put(f"{number}", stage(number, 4096))
        else:
            assert same(there, stage(number, 4096))
            found += 1
    return found


def test_processes_share_a_folder(store):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(work, [(store.folder, place) for place in range(2)])
    assert min(found) > 5
    assert all(name.endswith(SUFFIX) for name in files(store))
    total = sum(path.stat().st_size for path in store.folder.iterdir())
    assert total <= MEGABYTE // 2 + 100_000  # one more of another process, at most
