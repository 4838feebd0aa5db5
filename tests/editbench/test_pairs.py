"""The pairs are fixed, apart from one another, and new to every model."""

from collections import Counter
from functools import cache

import numpy as np

from demo.scenes import HELD_OUT_SEEDS, edits, is_withheld
from demo.scenes.edits import draw_edits, ordinary, shows_oddity
from demo.training.__main__ import GROWN_SCENES, PHOTO, SEED
from demo.training.data import scenes

from . import pairs

bench, development = cache(pairs.bench), cache(pairs.development)


def test_there_are_as_many_of_each_kind():
    assert Counter(pair.edit.kind for pair in bench()) == dict.fromkeys(pairs.KINDS, 20)
    assert Counter(pair.edit.kind for pair in development()) == dict.fromkeys(pairs.KINDS, 8)
    assert {pair.edit.kind for pair in bench()[:6]} == set(pairs.KINDS)


def test_no_training_saw_a_scene_or_its_combination():
    """Against the very scenes that the model and the classifier are trained on."""
    trained = scenes(SEED, GROWN_SCENES)
    seeds, combinations = {s.seed for s in trained}, {s.attributes for s in trained}
    for pair in (*bench(), *development()):
        scene = pair.edit.scene
        assert scene.seed in HELD_OUT_SEEDS
        assert scene.seed not in seeds
        assert pair.edit.truth.seed == scene.seed
        assert is_withheld(scene.attributes)
        assert scene.attributes not in combinations


def test_our_settings_are_chosen_on_other_pictures_than_they_are_reported_on():
    seen = [pair.edit.scene.seed for pair in (*bench(), *development())]
    assert len(set(seen)) == len(seen) == 168
    elsewhere = {edit.scene.seed for edit in draw_edits(2, seed=20)} | {PHOTO.seed}  # the host tests' and the demo's
    assert not elsewhere & set(seen)


def test_drawing_again_gives_the_same_pictures():
    for one, again in zip(bench()[:5], pairs.bench()[:5], strict=True):
        assert one.edit == again.edit
        np.testing.assert_array_equal(one.truth, again.truth)
        assert (one.source != one.truth).any()


def test_what_is_odd_about_a_subject_is_kept_by_the_truth_seen_by_an_eye_and_in_no_training():
    odd = [pair.edit for pair in (*bench(), *development()) if pair.edit.kind == edits.IDENTITY]
    assert {edit.scene.oddity.marking for edit in odd} == {"stripes", "patches", "ears", "shape", "carried"}
    assert {edit.attribute for edit in odd} == {"pose", "background", "colour"}
    for edit in odd:
        assert edit.truth.oddity == edit.scene.oddity
        assert shows_oddity(edit.scene)
        assert shows_oddity(edit.truth)
        assert ordinary(edit.scene).oddity is None
    assert not any(scene.oddity for scene in scenes(SEED, 500))
