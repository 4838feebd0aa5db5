"""A run goes on where it ended, and a changed method starts anew."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from . import methods, pairs, run, studio
from .cost import Cost
from .judge import judge
from .outcome import Outcome
from .store import Store, Task, code, used

KNOWN = {name: methods.METHODS[name] for name in ("sdedit", "autoencoder")}
TASK = Task("sdedit", "bench", 7)


@pytest.fixture
def outcome():
    pictures = {dial: np.random.default_rng(i).integers(0, 256, (128, 128, 3), np.uint8) for i, dial in enumerate("ab")}
    return Outcome(Cost(1, 0.5), Cost(20, 1.5), {"a": Cost(300, 2.5), "b": Cost(4, 0.125)}, pictures)


def test_what_is_written_is_read(tmp_path, outcome):
    store = Store(KNOWN, tmp_path)
    assert not store.has(TASK)
    store.write(TASK, outcome, Cost(100, 1.0))
    read, plain = Store(KNOWN, tmp_path).read(TASK)
    assert (read.photo, read.target, read.samples, plain) == (
        outcome.photo,
        outcome.target,
        outcome.samples,
        Cost(100, 1),
    )
    for dial, picture in outcome.pictures.items():
        np.testing.assert_array_equal(read.pictures[dial], picture)


def test_another_setting_is_another_method(tmp_path, outcome):
    Store(KNOWN, tmp_path).write(TASK, outcome, Cost())
    assert Store(KNOWN, tmp_path).has(TASK)
    changed = {"sdedit": replace(KNOWN["sdedit"], settings={"strengths": [0.5]})}
    assert not Store(changed, tmp_path).has(TASK)


def test_what_was_done_is_known_by_the_pair_and_not_by_its_place(tmp_path, outcome, monkeypatch):
    Store(KNOWN, tmp_path).write(TASK, outcome, Cost())
    drawn = pairs.bench()
    monkeypatch.setattr(pairs, "group", lambda name: [drawn[0], *drawn])
    assert Store(KNOWN, tmp_path).has(replace(TASK, index=8))
    assert not Store(KNOWN, tmp_path).has(TASK)


def test_a_method_depends_on_what_its_code_imports():
    names = {path.stem for path in used("embedding", "finetuning", "interpolation")}
    assert {"embedding", "objective", "levels", "adapters", "weights", "sizes"} <= names  # levels by way of objective
    assert not {"keeping", "region", "scoring", "edit_file", "putting_back"} & names


def test_another_comment_is_no_other_code(tmp_path):
    def written(text: str) -> bytes:
        (tmp_path / "method.py").write_text(text)
        return code(tmp_path / "method.py")

    plain = written("def edit(a, b):\n    return a + b\n")
    assert plain == written('"""A method."""\n\n\ndef edit(a,  b):\n    """A sum."""\n    return a + b  # of both\n')
    assert written("def edit(a, b):\n    return a - b\n") != plain
    (tmp_path / "weights.safetensors").write_bytes(b"# 1")
    assert code(tmp_path / "weights.safetensors") == b"# 1"


def test_another_models_edit_is_another_edit(tmp_path, outcome):
    store = Store(KNOWN, tmp_path, ("demo", "flow"))
    store.write(TASK, outcome, Cost())
    assert not store.has(replace(TASK, model="flow"))


def test_a_rival_of_one_kind_of_model_does_not_run_on_the_other():
    done = run.tasks(methods.METHODS, "bench", 1, "flow")
    assert {"default", "flowedit"} <= {task.method for task in done}
    assert "ledits" not in {task.method for task in done}
    assert {task.model for task in done} == {"flow"}


def test_what_is_done_is_not_done_again(tmp_path, capsys, monkeypatch):
    """Two pairs through the autoencoder, then one more."""
    monkeypatch.setattr(studio, "PLAIN_STEPS", 1)
    pool = ThreadPoolExecutor(1)
    todo = [Task("autoencoder", "bench", index) for index in range(3)]
    run.run(todo[:2], Store(KNOWN, tmp_path), pool, 1)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert len(files) == 4
    capsys.readouterr()

    run.run(todo, Store(KNOWN, tmp_path), pool, 1)
    said = capsys.readouterr().out
    assert "3 edits, 2 of them done before" in said
    assert "[1/1] demo autoencoder bench 2" in said
    assert {path: path.stat().st_mtime_ns for path in files} == files

    run.run(todo, Store(KNOWN, tmp_path), pool, 1)
    assert "[" not in capsys.readouterr().out


def test_a_method_that_is_another_one_at_another_dial_is_not_run_but_judged(tmp_path, outcome):
    known = {name: methods.METHODS[name] for name in ("autoencoder", "default", "pick")}
    store = Store(known, tmp_path)
    assert {task.method for task in run.tasks(known, "bench", 1)} == {"autoencoder", "default"}
    for name, dials in (("autoencoder", ("0", "truth")), ("default", ("0", "1.2", "pick"))):
        made = Outcome(samples=dict.fromkeys(dials, Cost()), pictures=dict.fromkeys(dials, outcome.pictures["a"]))
        store.write(Task(name, "bench", 0), made, Cost(100, 1.0))
    judged = judge(known, run.tasks(known, "bench", 1), store)
    assert judged["pick", "bench"] == judged["default", "bench"]
    assert "pick" in judged["pick", "bench"][0].figures


def test_slow_methods_run_on_the_first_pairs_of_each_kind():
    done = run.tasks(methods.METHODS, "bench", None)
    count = {name: sum(task.method == name for task in done) for name in methods.METHODS}
    assert count["default"] == count["sdedit"] == 120
    assert (count["further_target"], count["paper"]) == (30, 6)
    assert {task.index for task in done if task.method == "paper"} == set(range(6))
    assert {task.index for task in run.tasks(methods.METHODS, "bench", 2)} == {0, 1}


def test_the_tasks_of_a_pair_share_a_plain_sample(monkeypatch):
    taken = []
    monkeypatch.setattr(
        run, "_studio", lambda model: SimpleNamespace(plain_sample=lambda: taken.append(model) or Cost())
    )
    monkeypatch.setattr(run.methods, "available", lambda: KNOWN | {"sdedit": replace(KNOWN["sdedit"], edit=nothing)})
    run._plain.cache_clear()
    for index in (7, 7, 8):
        run.perform(replace(TASK, index=index))
    assert len(taken) == 2


def nothing(studio, pair) -> Outcome:
    return Outcome()
