"""Every row is done once, by one shard, next to those that share its tuning."""

import csv
import tracemalloc
from collections import Counter

import pytest

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


def test_what_an_earlier_version_did_is_not_done_again(tmp_path):
    """Its tables do not tell when a row ended. They are gone on with as they are."""
    whole = manifest(tmp_path, row("a", "a hat", output="x.png"), row("a", "a ball", output="y.png"))
    key, path = next(iter(whole)).key, tmp_path / "results.csv"
    heading = "number,output,status,seconds,evaluations,alignment,fidelity,peak_mib,error,edit,key\n"
    path.write_text(f"{heading}1,x.png,done,1.500,90,,,0,,,{key}\n")
    (tmp_path / "x.png").touch()
    assert do_all(tmp_path, whole) == [2]
    assert do_all(tmp_path, whole) == []
    assert path.read_text().startswith(heading)
    assert {line.count(",") for line in path.read_text().splitlines()} == {10}


def test_a_long_plan_takes_no_memory(tmp_path):
    rows = (row(f"{number % 5000}.png", f"dog {number}", "a dog") for number in range(20_000))
    whole = manifest(tmp_path, *rows)
    tracemalloc.start()
    with Plan(whole, tmp_path) as plan:
        assert sum(len(unit) for unit in plan.units()) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
