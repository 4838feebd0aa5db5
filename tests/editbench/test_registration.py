"""A pose is judged where the edit has it, if that is near, and by all that counts elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from demo.scenes import SIZE, render
from demo.scenes.nuisance import Nuisance

from . import metrics, pairs
from .registration import placements, register
from .test_metrics import judged

POSES = [pair for pair in pairs.bench() if pair.edit.attribute == "pose"][:3]
each_pose = pytest.mark.parametrize("pair", POSES, ids=lambda pair: pair.edit.target_caption)


def moved(pair: pairs.Pair, right: int = 0, down: int = 0, size: float = 1.0, facing: int = 1) -> np.ndarray:
    """The truth with its animal elsewhere, in pixels."""
    drawn = Nuisance.from_seed(pair.edit.scene.seed)
    elsewhere = replace(
        drawn,
        x=drawn.x + right / SIZE,
        ground=drawn.ground + down / SIZE,
        size=drawn.size * size,
        facing=drawn.facing * facing,
    )
    return render(pair.edit.truth, elsewhere)


@each_pose
@pytest.mark.parametrize("where", [(0, 0), (-15, 3), (10, -7), (14, 7)])
@pytest.mark.parametrize("size", [0.9, 1.0, 1.1])
def test_a_pose_near_its_place_is_complete(pair, where, size):
    assert judged(pair, moved(pair, *where, size)).complete


@each_pose
def test_the_truth_is_judged_by_itself(pair):
    assert np.array_equal(register(pair, pair.truth).truth, pair.truth)
    assert placements(pair)[0] == Nuisance.from_seed(pair.edit.scene.seed)


@each_pose
@pytest.mark.parametrize(
    "elsewhere", [{"right": 30}, {"right": -30}, {"facing": -1}, {"size": 0.6}, {"size": 1.5}, {"down": -40}]
)
def test_a_pose_somewhere_else_or_turned_round_is_not(pair, elsewhere):
    assert not judged(pair, moved(pair, **elsewhere)).complete


@each_pose
def test_a_pose_beside_what_is_left_of_the_old_one_is_not(pair):
    picture = moved(pair, 9).astype(int)
    old = metrics.changed_region(pair.source, pair.truth)
    ghost = np.where(old[..., None], (picture + 2 * pair.source) // 3, picture).astype(np.uint8)
    assert not judged(pair, ghost).complete


@each_pose
def test_a_moved_pose_in_a_changed_place_is_no_success(pair):
    picture = moved(pair, 9).copy()
    region = metrics.untouched_region(register(pair, picture))
    assert judged(pair, picture).success
    picture[region] = 255 - picture[region]
    assert not judged(pair, picture).success


def test_an_edit_that_is_no_pose_is_judged_where_it_is():
    pair = next(pair for pair in pairs.bench() if pair.edit.attribute == "accessory")
    assert register(pair, np.roll(pair.truth, 9, 1)) is pair


def test_a_mark_is_looked_for_where_the_pose_is():
    pair = next(pair for pair in pairs.bench() if pair.edit.kind == "identity" and pair.edit.attribute == "pose")
    assert judged(pair, moved(pair, 9, -6)).complete
    ordinary = register(pair, moved(pair, 9, -6)).ordinary
    assert judged(pair, ordinary).identity_share < metrics.KEPT
