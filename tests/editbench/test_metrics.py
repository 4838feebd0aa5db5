"""The metrics, where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from demo.scenes import VALUES

from . import metrics, pairs

PAIRS = pairs.bench()[:6]
GREY = np.full((128, 128, 3), 100, np.uint8)


def seen(pair: pairs.Pair, **changes: str) -> dict[str, torch.Tensor]:
    """What a sure classifier says of the truth, or of it with some attributes seen otherwise."""
    found = vars(pair.edit.truth.attributes) | changes
    return {name: torch.tensor([float(value == found[name]) for value in values]) for name, values in VALUES.items()}


def judged(pair: pairs.Pair, picture: np.ndarray | None = None, **changes: str) -> metrics.Figures:
    return metrics.figures(pair, pair.truth if picture is None else picture, perfect(pair), seen(pair, **changes))


def perfect(pair: pairs.Pair) -> metrics.Ceilings:
    """Of an autoencoder that loses nothing."""
    return metrics.Ceilings(pair.source, pair.truth)


def pair_of(kind: str) -> pairs.Pair:
    return next(pair for pair in PAIRS if pair.edit.kind == kind)


@pytest.mark.parametrize("off", [1, 10, 25])
def test_psnr_of_a_constant_error_is_known(off):
    assert metrics.psnr(GREY + np.uint8(off), GREY) == pytest.approx(20 * np.log10(255 / off))


def test_psnr_counts_only_the_region():
    picture, region = GREY.copy(), np.zeros((128, 128), bool)
    picture[:64], region[60:68] = 0, True
    assert metrics.psnr(picture, GREY, region) == pytest.approx(10 * np.log10(255**2 / (100**2 / 2)))
    assert metrics.psnr(picture, GREY, ~np.ones_like(region) | (np.arange(128)[:, None] > 64)) == 99


def test_ssim_is_one_for_equals_and_less_for_a_moved_picture():
    picture = pair_of("pose").source
    assert metrics.ssim(picture, picture) == pytest.approx(1)
    assert metrics.ssim(np.roll(picture, 8, 1), picture) < 0.9
    far = np.zeros((128, 128), bool)
    far[:20] = True
    changed = picture.copy()
    changed[64:] = 0
    assert metrics.ssim(changed, picture, far) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["colour", "pose", "accessory"])
def test_the_untouched_region_is_equal_in_source_and_truth_and_clear_of_the_edit(kind):
    pair = pair_of(kind)
    region, changed = metrics.untouched_region(pair), (pair.source != pair.truth).any(-1)
    assert 0.3 < region.mean() < 1 - changed.mean()
    near = np.zeros_like(changed)
    for down in (-2, 0, 2):
        for right in (-2, 0, 2):
            near |= np.roll(changed, (down, right), (0, 1))
    assert not (region & near).any()


def test_a_style_leaves_nothing_alone():
    assert metrics.untouched_region(pair_of("style")) is None
    assert judged(pair_of("style")).untouched_psnr is None


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.edit.kind)
def test_the_truth_succeeds_and_the_source_does_not(pair):
    assert judged(pair).success
    source = judged(pair, pair.source, **vars(pair.edit.scene.attributes))
    assert not source.target
    assert not source.success


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.edit.kind)
def test_the_truth_is_complete_and_a_change_left_in_part_is_not(pair):
    assert judged(pair).changed_share == 1
    assert judged(pair).complete
    assert metrics.nearer_share(pair.source, pair.truth, pair.source) == 0
    left, changed = pair.truth.copy(), metrics.changed_region(pair.truth, pair.source)
    there = np.cumsum(changed) <= 0.6 * changed.sum()
    left[there.reshape(128, 128)] = pair.source[there.reshape(128, 128)]
    part = judged(pair, left)
    assert part.changed_share == pytest.approx(0.4, abs=0.1)
    assert part.target
    assert not part.complete


@pytest.mark.parametrize(("share", "is_complete"), [(0.75, True), (0.749, False)])
def test_three_quarters_of_a_successful_change_are_complete(share, is_complete):
    good = replace(judged(pair_of("pose")), changed_share=share)
    assert good.success
    assert good.complete is is_complete
    assert not replace(good, kept=False).complete


def test_a_change_drawn_a_pixel_off_is_there():
    pair = pair_of("accessory")
    moved = np.roll(pair.truth, 1, 1)
    assert metrics.nearer_share(moved, pair.truth, pair.source) > 0.9


def test_every_pair_changes_something_for_an_eye_to_see():
    for pair in (*pairs.bench(), *pairs.development()):
        assert metrics.changed_region(pair.source, pair.truth).mean() > 0.005


def test_an_ordinary_animal_in_the_place_of_an_odd_one_is_not_complete():
    pair = pair_of("identity")
    assert judged(pair).identity_share == 1
    figures = judged(pair, pair.ordinary)
    assert figures.identity_share == 0
    assert figures.changed_share > metrics.COMPLETE
    assert not figures.complete
    assert judged(pair_of("pose")).identity_share is None


def test_another_attribute_lost_is_no_success():
    pair = pair_of("colour")
    other = next(value for value in VALUES["background"] if value != pair.edit.scene.attributes.background)
    figures = judged(pair, background=other)
    assert figures.target
    assert not figures.kept
    assert not figures.success


def test_a_ruined_background_is_no_success():
    pair = pair_of("colour")
    figures = judged(pair, picture=255 - pair.truth)
    assert (figures.target, figures.kept, figures.untouched) == (True, True, False)


def test_colour_is_not_asked_of_a_sketch():
    pair = next(p for p in pairs.bench() if p.edit.value == "sketch")
    wrong = next(value for value in VALUES["colour"] if value != pair.edit.scene.attributes.colour)
    assert judged(pair, colour=wrong).success


@pytest.mark.parametrize(
    ("psnr", "ceiling", "kept"), [(24, 40, True), (23.9, 40, False), (22, 26, True), (21.9, 26, False)]
)
def test_close_is_24_db_or_within_4_db_of_the_ceiling(psnr, ceiling, kept):
    assert replace(judged(pair_of("colour")), untouched_psnr=psnr, ceiling_psnr=ceiling).untouched is kept


def test_the_interval_of_a_share_is_near_the_normal_one():
    low, high = metrics.interval([True] * 70 + [False] * 30)
    assert (low, high) == pytest.approx((0.61, 0.79), abs=0.02)
    assert (low, high) == metrics.interval([True] * 70 + [False] * 30)
    assert metrics.interval([True] * 5) == (1, 1)
