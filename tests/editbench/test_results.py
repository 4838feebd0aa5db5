"""What is written has the fields that others read, and says what was judged."""

import json
from dataclasses import replace

import pytest

from . import earlier, methods, metrics, pairs, plots, results
from .cost import Cost
from .judge import Judged
from .methods.default import PICKED
from .pairs import KINDS
from .summary import best_dial, curve, edit_score, summary
from .test_metrics import judged as figures_of_truth
from .test_metrics import perfect, seen

FIELDS = (
    "pairs",
    "edit_score",
    "edit_score_by_kind",
    "edit_score_interval",
    "complete",
    "complete_by_kind",
    "complete_interval",
    "reconstruction_gap_db",
    "forward_equivalents",
    "plain_samples",
    "further_target_plain_samples",
)
PAIRS = pairs.bench()[:4]
EDIT = methods.METHODS["default"].headline


def row(index: int, wrong: tuple[str, ...] = ()) -> Judged:
    """A pair whose pictures are the truth, with another background seen at the dials `wrong`."""
    pair = PAIRS[index]
    good = figures_of_truth(pair)
    bad = metrics.figures(pair, 255 - pair.truth, perfect(pair), {k: v.flip(0) for k, v in seen(pair).items()})
    return Judged(
        index=index,
        pair=pair,
        figures={dial: bad if dial in wrong else good for dial in ("0", EDIT)},
        pictures={"0": pair.source, EDIT: pair.truth},
        photo=Cost(10, 2.0),
        target=Cost(20, 4.0),
        samples={"0": Cost(60, 1.0), EDIT: Cost(60, 2.0)},
        plain=Cost(100, 2.0),
        reconstruction_gap_db=float(index),
    )


@pytest.fixture(scope="module")
def found():
    rows = [row(0), row(1), row(2, ("0", EDIT)), row(3, ("0",))]
    known = {name: methods.METHODS[name] for name in ("default", "sdedit", "further_target")}
    judged = {(name, "bench"): rows for name in known}
    return results.collect(known, {"demo": judged}, {"demo": dict.fromkeys(known, "then")}), known, judged


def test_costs_and_scores_are_known_sums():
    figures = summary([row(0), row(1), row(2, (EDIT,)), row(3)], EDIT)
    assert figures["edit_score"] == 0.75
    assert figures["forward_equivalents"] == 90
    assert figures["plain_samples"] == 4
    assert figures["further_target_plain_samples"] == 3
    assert figures["reconstruction_gap_db"] == 1.5
    assert figures["edit_score_by_kind"][KINDS[2]] == 0


def test_the_best_setting_has_the_highest_score():
    assert best_dial([row(0, ("0",)), row(1)]) == EDIT
    assert best_dial([row(0, (EDIT,)), row(1)]) == "0"


def part(index: int, share: float, wrong: tuple[str, ...] = ()) -> Judged:
    """A pair of which so much of the change is there in the edit."""
    whole = row(index, wrong)
    figures = {**whole.figures, EDIT: replace(whole.figures[EDIT], changed_share=share)}
    return replace(whole, figures=figures)


def test_what_is_done_in_part_is_a_success_and_not_complete():
    figures = summary([row(0), row(1), part(2, 0.3), row(3)], EDIT)
    assert (figures["edit_score"], figures["complete"]) == (1, 0.75)
    assert figures["complete_by_kind"] == {kind: float(kind != KINDS[2]) for kind in KINDS[:4]}
    low, high = figures["complete_interval"]
    assert low < 0.75 < high
    assert figures["complete_best_single_setting"] == figures["complete_best_setting_per_pair"] == 1
    rows = [part(0, 0.3), part(1, 0.3, ("0",))]
    assert (best_dial(rows), best_dial(rows, edit_score)) == ("0", EDIT)


def test_who_sees_the_truth_chooses_best():
    figures = summary([row(0, ("0",)), row(1, (EDIT,)), row(2, ("0", EDIT)), row(3, ("0",))], EDIT)
    assert figures["edit_score"] == figures["best_single_setting"] == 0.5
    assert figures["best_setting_per_pair"] == 0.75


def picked(index: int) -> Judged:
    """A pair on which the pick is right and no single eta is."""
    both = row(index, ("0", EDIT))
    figures = {**both.figures, PICKED: figures_of_truth(both.pair)}
    return replace(both, figures=figures, samples={**both.samples, PICKED: Cost(200, 8.0)})


def test_the_pick_is_no_setting_of_its_own():
    rows = [picked(0), picked(1)]
    assert best_dial(rows) != PICKED
    assert [point["setting"] for point in curve(rows, EDIT)] == ["0", EDIT]
    assert [point["setting"] for point in curve(rows, PICKED)] == [PICKED]
    figures = summary(rows, PICKED)
    assert (figures["edit_score"], figures["best_single_setting"], figures["forward_equivalents"]) == (1, 0, 230)


def test_results_begin_with_the_summary_and_its_fields(found, tmp_path):
    content, known, judged = found
    results.write(tmp_path, content, known, "make editbench")
    read = json.loads((tmp_path / "results.json").read_text())
    assert next(iter(read)) == "summary"
    summaries = read["summary"]["demo"]
    assert next(iter(summaries)) == "default"
    for name in ("default", "sdedit"):
        assert set(FIELDS) <= summaries[name].keys()
    assert [line["success"] for line in read["pairs"]["demo"]["sdedit"]] == [True, True, False, True]
    assert summaries["sdedit"]["edit_score"] == 0.75
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.count(f"| SDEdit | {EDIT} | 4 | **0.75** |") == 2
    assert text.index("## Complete edits") < text.index("## Edit score")

    plots.trade_off(content, "demo", known, tmp_path / "curve.png")
    plots.contact_sheets(judged, content, "demo", known, tmp_path, "bench")
    sheets = {f"sheet-demo-{row(i).pair.edit.kind}.jpg" for i in range(4)}
    assert {path.name for path in tmp_path.glob("sheet-*")} == sheets


def test_a_model_that_is_missing_is_said_to_be(found):
    content, known, _ = found
    text = results.markdown(content, known, "make editbench")
    assert "The flow model was not there" in text
    both = {**content, "summary": {"demo": content["summary"]["demo"], "flow": content["summary"]["demo"]}}
    text = results.markdown(both, known, "make editbench")
    assert "was not there" not in text
    assert text.index("## The demo model") < text.index("## The flow model")


def test_the_sheets_show_the_worst_edits_too():
    rows = {index: part(index % 4, share) for index, share in enumerate((0.9, 0.2, 0.8, 0.1, 0.7))}
    assert plots._worst(rows, EDIT) == [3, 1, 4]


def test_a_further_target_costs_what_the_source_caption_leaves(found):
    content, _, _ = found
    assert content["summary"]["demo"]["default"]["further_target_plain_samples"] == 3


def test_what_still_holds_is_kept_beside_what_was_made_anew(found, tmp_path):
    content, known, judged = found
    results.write(tmp_path, content, known, "make editbench")
    read = earlier.read(tmp_path / "results.json")
    read["summary"]["demo"]["sdedit"]["date"] = "2020-01-02"
    today = {"demo": {"default": "now", "further_target": "now", "sdedit": "then"}, "flow": {"sdedit": "then"}}
    before = earlier.held(read, today)
    assert [*before] == ["demo"]
    assert all([*rows] == ["sdedit"] for rows in before["demo"].values())

    some = {"demo": {("default", "bench"): judged["default", "bench"][:2]}}
    both = results.collect(known, some, today, before=before)
    assert {name: figures["pairs"] for name, figures in both["summary"]["demo"].items()} == {"default": 2, "sdedit": 4}
    assert both["keys"]["demo"] == {"default": "now", "sdedit": "then"}
    assert both["settings"].keys() == {"default", "sdedit"}
    assert len(both["pairs"]["demo"]["sdedit"]) == 4
    assert "Measured on 2020-01-02: sdedit; on " in results.markdown(both, known, "make editbench")
    assert "Measured" not in results.markdown(content, known, "make editbench")


def test_another_judge_or_another_number_of_pairs_is_another_result(tmp_path, monkeypatch):
    known = {"sdedit": methods.METHODS["sdedit"], "ledits": methods.METHODS["ledits"]}
    keys = earlier.keys(known, ["demo", "flow"])
    assert [keys["demo"].keys(), keys["flow"].keys()] == [{"sdedit", "ledits"}, {"sdedit"}]
    fewer = earlier.keys({"sdedit": replace(known["sdedit"], bench=30)}, ["demo"])
    (tmp_path / "metrics.py").write_text("COMPLETE = 0.5")
    monkeypatch.setattr(earlier, "JUDGING", [tmp_path / "metrics.py"])
    judged_otherwise = earlier.keys(known, ["demo"])
    found = {one["demo"]["sdedit"] for one in (keys, fewer, judged_otherwise)}
    assert len(found) == 3
    assert earlier.keys(known, ["demo"]) == judged_otherwise


def test_where_there_are_no_results_nothing_is_kept(tmp_path):
    assert earlier.held(earlier.read(tmp_path / "results.json"), {"demo": {"sdedit": "now"}}) == {}
