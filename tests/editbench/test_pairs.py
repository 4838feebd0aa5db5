"""The pairs are fixed, apart from one another, and new to every model."""

from collections import Counter
from functools import cache

import numpy as np

from demo.scenes import HELD_OUT_SEEDS, is_withheld
from demo.scenes.edits import KINDS, draw_edits
from demo.training.__main__ import PHOTO, SCENES, SEED
from demo.training.data import scenes

from . import pairs

bench, development = cache(pairs.bench), cache(pairs.development)


def test_there_are_as_many_of_each_kind():
    assert Counter(pair.edit.kind for pair in bench()) == dict.fromkeys(KINDS, 20)
    assert Counter(pair.edit.kind for pair in development()) == dict.fromkeys(KINDS, 8)
    assert {pair.edit.kind for pair in bench()[:5]} == set(KINDS)


def test_no_training_saw_a_scene_or_its_combination():
    """Against the very scenes that the model and the classifier are trained on."""
    trained = scenes(SEED, SCENES)
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
    assert len(set(seen)) == len(seen) == 140
    elsewhere = {edit.scene.seed for edit in draw_edits(2, seed=20)} | {PHOTO.seed}  # the host tests' and the demo's
    assert not elsewhere & set(seen)


def test_drawing_again_gives_the_same_pictures():
    for one, again in zip(bench()[:5], pairs.bench()[:5], strict=True):
        assert one.edit == again.edit
        np.testing.assert_array_equal(one.truth, again.truth)
        assert (one.source != one.truth).any()
