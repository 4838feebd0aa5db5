"""Every row is done once, by one shard, next to those that share its tuning."""

import csv
import os
import tracemalloc
from collections import Counter

import pytest

from imagic.batch import runner, sources
from imagic.batch.editor import Finished
from imagic.batch.manifest import Manifest
from imagic.batch.plan import MOST, WHOLE, Plan, Shard
from imagic.batch.results import DONE, FAILED, Result, Table


def manifest(folder, *rows: dict):
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["photo", "sentence", "caption", "output"])
        writer.writeheader()
        writer.writerows(rows)
    return Manifest(path)


def row(photo: str, sentence: str, caption: str = "", output: str = "") -> dict:
    return {"photo": photo, "sentence": sentence, "caption": caption, "output": output}


def numbers(plan: Plan) -> list[list[int]]:
    return [[row.number for row in unit] for unit in plan.units()]


def test_rows_that_share_a_tuning_come_together(tmp_path):
    rows = [row("a", "dog"), row("b", "dog", "cat"), row("a", "cow"), row("a", "dog"), row("b", "cow", "cat")]
    with Plan(manifest(tmp_path, *rows), tmp_path) as plan:
        assert numbers(plan) == [[1, 4], [3], [2, 5]]
        assert numbers(plan) == [[1, 4], [3], [2, 5]]  # a plan can be asked again


def test_a_unit_has_no_more_rows_than_a_lost_worker_may_cost(tmp_path):
    with Plan(manifest(tmp_path, *[row("a", "dog")] * (2 * MOST + 1)), tmp_path) as plan:
        assert [len(unit) for unit in plan.units()] == [MOST, MOST, 1]


def test_shards_have_each_row_once_and_split_no_photo(tmp_path):
    rows = [row(f"{number % 37}.png", f"dog {number}") for number in range(200)] + [row("", "dog")]
    whole, seen, photos = manifest(tmp_path, *rows), Counter(), Counter()
    for index in range(1, 6):
        with Plan(whole, tmp_path, Shard(index, 5)) as plan:
            units = list(plan.units())
            seen.update(row.number for unit in units for row in unit)
            seen.update(bad.number for bad in plan.bad_rows())
            photos.update({row.photo for unit in units for row in unit})
    assert seen == Counter(range(1, 202))
    assert set(photos.values()) == {1}


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", ""])
def test_a_shard_that_is_none(text):
    with pytest.raises(ValueError, match="give it a part and their number, 1/8 to 8/8"):
        Shard.parse(text)


def test_a_name_belongs_to_the_first_row(tmp_path):
    rows = [row("a", "dog", output="x.png"), row("b", "dog", output="X.png"), row("b", "cow", output="b-2.png")]
    rows[1:1] = [row("b", "dog")]  # whose name is b-2.png
    with Plan(manifest(tmp_path, *rows), tmp_path) as plan:
        assert numbers(plan) == [[1], [2]]
        assert [bad.error for bad in plan.bad_rows()] == [
            "output is also that of row 1: give each row a name of its own.",
            "output is also that of row 2: give each row a name of its own.",
        ]


@pytest.mark.parametrize("outputs", [("x.png", "X.png/y.png"), ("x.png/y/z.png", "x.png")])
def test_a_name_is_a_pictures_or_a_folders(tmp_path, outputs):
    rows = [row("a", "dog", output=output) for output in (*outputs, "x/y.png", "x/z.png")]
    with Plan(manifest(tmp_path, *rows), tmp_path) as plan:
        assert numbers(plan) == [[1, 3, 4]]
        assert [(bad.number, bad.error) for bad in plan.bad_rows()] == [
            (2, "output and that of row 1 need a folder and a picture of the same name: choose another name.")
        ]


def test_no_row_writes_over_a_photo(tmp_path):
    """Nor over that of a later row, by a name that was given or by its own."""
    rows = [row("cat.png", "a dog"), row("cat-1.png", "a dog"), row("cow.png", "a dog", output="COW.png")]
    rows += [row("sub/../hen.png", "a dog", output="hen.png"), row("/else/fox.png", "a dog", output="fox.png")]
    whole = manifest(tmp_path, *rows)
    with Plan(whole, tmp_path) as plan:
        assert numbers(plan) == [[2], [5]]
        assert [(bad.number, bad.error[:45]) for bad in plan.bad_rows()] == [
            (1, "output is the photo or the mask of row 2: cho"),
            (3, "output is the photo or the mask of row 3: cho"),
            (4, "output is the photo or the mask of row 4: cho"),
        ]
        assert [bad.output for bad in plan.bad_rows()] == ["cat-1.png", "COW.png", "hen.png"]
        assert (plan.counts.total, plan.counts.todo, plan.counts.bad) == (5, 2, 3)
    with Plan(whole, tmp_path / "elsewhere") as plan:
        assert plan.counts.todo == 5


def test_a_table_of_the_users_own_is_left_alone(tmp_path):
    (tmp_path / "results_mine.csv").write_text("number,output,status,key\n1,a.png,done,k\n")
    with Plan(manifest(tmp_path, row("a", "dog")), tmp_path) as plan:
        assert numbers(plan) == [[1]]


def test_what_is_done_is_not_done_again(tmp_path):
    rows = [row(name, "dog", output=f"{name}.png") for name in ("done", "deleted", "failed", "again", "changed")]
    whole = manifest(tmp_path, *rows, row("", "dog", output="bad.png"))
    keys = {row.output: row.key for row in whole}
    with Table(tmp_path / "results.csv") as table, Table(tmp_path / "results-1-of-2.csv") as other:
        for name in ("done", "deleted"):
            table.append(Result(1, f"{name}.png", DONE, key=keys[f"{name}.png"]))
        table.append(Result(3, "failed.png", FAILED, error="It is no picture.", key=keys["failed.png"]))
        table.append(Result(4, "again.png", FAILED, error="It is no picture.", key=keys["again.png"]))
        other.append(Result(4, "again.png", DONE, key=keys["again.png"]))
        table.append(Result(5, "changed.png", DONE, key="of another sentence"))
        table.append(Result(6, "bad.png", FAILED, error="photo is empty: fill it in.", key=keys["bad.png"]))
    for name in ("done", "again", "changed"):
        (tmp_path / f"{name}.png").touch()
    with Plan(whole, tmp_path) as plan:
        assert numbers(plan) == [[2], [3], [5]]
        assert (plan.counts.total, plan.counts.done, plan.counts.bad, plan.counts.todo) == (6, 2, 1, 3)
        assert not list(plan.bad_rows())  # the table says so already
        assert [(bad.number, bad.error) for bad in plan.told] == [(6, "photo is empty: fill it in.")]
        assert plan.counts.told == 1
        assert plan.failed_before(keys["failed.png"], "It is no picture.")
        assert not plan.failed_before(keys["failed.png"], "The disk is full.")


def do_all(output, whole: Manifest, shard: Shard = WHOLE) -> list[int]:
    """The numbers of the rows that were not done yet."""
    with Table(output / shard.table) as table, Plan(whole, output, shard) as plan:
        rows = [row for unit in plan.units() for row in unit]
        for row in rows:
            (output / row.output).touch()
            table.append(Result(row.number, row.output, DONE, key=row.key))
    return [row.number for row in rows]


def run_all(output, whole: Manifest, telling: bool = True, meanwhile=lambda: None) -> list[int]:
    """The same by a whole run, with an engine that reads each photo and may tell what it held."""
    numbers = []

    def engine(units):
        for row in (row for unit in units for row in unit):
            numbers.append(row.number)
            files = [(output / name).read_bytes() for name in (row.photo, row.mask) if name]
            meanwhile()
            content = sources.content(*files) if telling else ""
            yield Finished(Result(row.number, row.output, DONE, key=row.key, content=content), {row.output: b"edit"})

    runner.run(whole, output, engine)
    return numbers


def test_a_row_that_is_changed_back_is_done_again(tmp_path):
    """Its picture is that of the changed row."""
    hat, ball = ([row("a", sentence, output="x.png")] for sentence in ("a hat", "a ball"))
    assert do_all(tmp_path, manifest(tmp_path, *hat)) == [1]
    assert do_all(tmp_path, manifest(tmp_path, *ball)) == [1]
    assert do_all(tmp_path, manifest(tmp_path, *hat)) == [1]
    assert do_all(tmp_path, manifest(tmp_path, *hat)) == []


def test_a_row_that_moves_to_another_shard_and_back_is_done_again(tmp_path):
    first, second = Shard(1, 2), Shard(2, 2)
    one, two = (next(name for name in "abcdefgh" if shard.has(name)) for shard in (first, second))
    for shard, photo in [(first, one), (second, two), (first, one), (second, two)]:
        whole = manifest(tmp_path, row(photo, "a hat", output="x.png"))
        assert do_all(tmp_path, whole, shard) == [1]
        assert do_all(tmp_path, whole, shard) == []


@pytest.mark.parametrize("ended", ["", ",ended"])
def test_what_an_earlier_version_did_is_not_done_again(tmp_path, ended):
    """Its tables do not tell what the photos were, nor earlier ones when a row ended. They are gone on with as they
    are."""
    (tmp_path / "a").write_bytes(b"a dog")
    whole = manifest(tmp_path, row("a", "a hat", output="x.png"), row("a", "a ball", output="y.png"))
    key, path = next(iter(whole)).key, tmp_path / "results.csv"
    heading = f"number,output,status,seconds,evaluations,alignment,fidelity,peak_mib,error,edit,key{ended}\n"
    time = ended and ",2026-11-26T16:19:32.574421Z"
    path.write_text(f"{heading}1,x.png,done,1.500,90,,,0,,,{key}{time}\n")
    (tmp_path / "x.png").touch()
    assert do_all(tmp_path, whole) == [2]
    assert do_all(tmp_path, whole) == []
    assert path.read_text().startswith(heading)
    assert {line.count(",") for line in path.read_text().splitlines()} == {10 + bool(ended)}


def test_a_photo_that_was_replaced_is_done_again(tmp_path):
    """By one of the same size, of the same time, or of an older one. One that is put back is done again, too."""
    photo, other = tmp_path / "a.png", tmp_path / "b.png"
    photo.write_bytes(b"a dog")
    other.write_bytes(b"a cat")
    os.utime(other, ns=(10**18, 10**18))
    whole = manifest(tmp_path, row("a.png", "a hat", output="x.png"))
    assert run_all(tmp_path, whole) == [1]
    assert run_all(tmp_path, whole) == []
    before = photo.stat()
    other.rename(photo)
    assert run_all(tmp_path, whole) == [1]
    assert run_all(tmp_path, whole) == []
    photo.write_bytes(b"a dog that is longer")
    os.utime(photo, ns=(10**18, 10**18))
    assert run_all(tmp_path, whole) == [1]
    photo.write_bytes(b"a dog")
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run_all(tmp_path, whole) == [1]
    photo.unlink()
    assert run_all(tmp_path, whole) == []  # there is nothing to do it from, and its picture is there


def test_a_mask_that_was_replaced_is_done_again(tmp_path):
    for name in ("a.png", "mask.png"):
        (tmp_path / name).write_bytes(b"white")
    path = tmp_path / "rows.csv"
    path.write_text("photo,sentence,mask,output\na.png,a hat,mask.png,x.png\na.png,a hat,,y.png\n")
    whole = Manifest(path)
    assert run_all(tmp_path, whole) == [1, 2]
    (tmp_path / "mask.png").write_bytes(b"black and white")
    assert run_all(tmp_path, whole) == [1]


@pytest.mark.parametrize("telling", [True, False])
def test_a_photo_that_was_only_copied_is_not_done_again(tmp_path, telling):
    """Its time is another, its content is not: an engine tells what it has read, or the run looks for itself."""
    photo = tmp_path / "a.png"
    photo.write_bytes(b"a dog")
    whole = manifest(tmp_path, row("a.png", "a hat", output="x.png"))
    assert run_all(tmp_path, whole, telling) == [1]
    os.utime(photo, ns=(10**18, 10**18))
    assert run_all(tmp_path, whole, telling) == []


def test_a_photo_that_is_replaced_while_it_is_edited_is_done_again(tmp_path):
    """What was read is not what is there afterwards."""
    photo = tmp_path / "a.png"
    photo.write_bytes(b"a dog")
    whole = manifest(tmp_path, row("a.png", "a hat", output="x.png"))
    for telling in (True, False):
        assert run_all(tmp_path, whole, telling, meanwhile=lambda: photo.write_bytes(b"a bird" * 9)) == [1]
        assert run_all(tmp_path, whole, telling) == [1]
        photo.write_bytes(b"a dog")
    assert run_all(tmp_path, whole) == [1]


def test_a_photo_is_read_again_only_if_its_size_or_time_is_another(tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"a dog")
    whole = manifest(tmp_path, *(row(name, "a hat", output=f"x{name}") for name in ("a.png", "b.png")))
    run_all(tmp_path, whole)
    os.utime(tmp_path / "b.png", ns=(10**18, 10**18))
    read, seen = sources.read_content, []
    monkeypatch.setattr(sources, "read_content", lambda row, folder: seen.append(row.photo) or read(row, folder))
    assert run_all(tmp_path, whole) == []
    assert seen == ["b.png"]


def test_a_long_plan_takes_no_memory(tmp_path):
    rows = (row(f"{number % 1000}.png", f"dog {number}", "a dog") for number in range(5_000))
    whole = manifest(tmp_path, *rows)
    tracemalloc.start()
    with Plan(whole, tmp_path) as plan:
        assert sum(len(unit) for unit in plan.units()) == 5_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
