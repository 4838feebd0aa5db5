"""The gallery's edits are chosen by a rule, and its pictures hold what they are given."""

import dataclasses

import numpy as np
from PIL import Image

from demo.load import pipeline
from scripts import gallery, posters
from tests.editbench import pairs
from tests.editbench.metrics import Figures

RED, BLUE = (Image.new("RGB", (16, 16), colour) for colour in ((220, 0, 0), (0, 0, 220)))


def row(short: float, success: bool = True, share: float = 0.5) -> gallery.Row:
    known = dict.fromkeys((field.name for field in dataclasses.fields(Figures)), None)
    figures = Figures(**known | {"whole_psnr": 30 - short, "whole_ceiling_psnr": 30.0, "target": success, "kept": True})
    figures = dataclasses.replace(figures, changed_share=share)
    return gallery.Row(f"short by {short}", RED, BLUE, figures)


def test_every_kind_has_as_many_edits_drawn_apart_from_the_bench_and_from_development():
    kinds = [pair.edit.kind for pair in gallery.pairs()]
    assert kinds == [kind for kind in pairs.KINDS for _ in range(gallery.PER_KIND)]
    assert gallery.SEED not in (pairs.BENCH_SEED, pairs.DEVELOPMENT_SEED)


def test_the_half_nearer_to_the_truth_is_shown_in_the_order_it_came_in():
    rows = [row(short) for short in (5, 1, 4, 2)]
    assert gallery.nearer_half(rows) == [rows[1], rows[3]]


def test_a_verdict_is_editbenchs():
    found = [row(1, share=0.9).verdict, row(1, share=0.5).verdict, row(1, success=False, share=0.9).verdict]
    assert found == list(gallery.VERDICTS)


def test_the_demo_models_picture_of_the_truth_is_complete_and_the_photo_is_not():
    model, pair = pipeline(), gallery.pairs()[0]
    assert gallery.Row("", RED, BLUE, gallery.judged(model, pair, Image.fromarray(pair.truth))).verdict == "complete"
    assert gallery.Row("", RED, BLUE, gallery.judged(model, pair, Image.fromarray(pair.source))).verdict == "missed"


def test_a_wipe_goes_from_the_photo_to_the_edit_and_back(tmp_path):
    frames = posters.wipe([("a blue square", RED, BLUE)] * 2, columns=2, panel=32)
    inside = np.s_[posters.GAP : posters.GAP + 32, posters.GAP : posters.GAP + 32]
    shown = [np.asarray(frame.convert("RGB"))[inside] for frame in frames]
    assert (shown[0] == RED.getpixel((0, 0))).all()
    assert (shown[posters.WIPE] == BLUE.getpixel((0, 0))).all()
    blue = [(picture[..., 2] > 200).mean() for picture in shown[: posters.WIPE + 1]]
    assert blue == sorted(blue)
    np.testing.assert_array_equal(shown[1], shown[-1])
    posters.save_animation(frames, tmp_path / "wipe.gif")
    with Image.open(tmp_path / "wipe.gif") as saved:
        assert saved.n_frames == len(frames)
        assert saved.info["duration"] == posters.HELD[0]


def test_a_sheet_has_room_for_every_row_and_a_dial_for_every_strength():
    rows = [[("photo", RED), ("edit", BLUE)]] * 3
    sheet = np.asarray(posters.sheet(rows, ["a", "b", "c"], panel=32))
    assert (sheet == RED.getpixel((0, 0))).all(-1).sum() == 3 * 32 * 32
    strip = posters.sheet([[(colour, Image.new("RGB", (16, 16), colour)) for colour in ("red", "lime", "blue")]], ["a"])
    shown = [strip.getpixel((strip.width * place // 6, strip.height // 2)) for place in (1, 3, 5)]
    assert shown == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    dial = np.asarray(posters.dial([(0, RED), (1.2, BLUE)], "a blue square", 1.2, panel=32))
    assert (dial == BLUE.getpixel((0, 0))).all(-1).sum() == 32 * 32
    assert (dial == posters.ACCENT).all(-1).any()
