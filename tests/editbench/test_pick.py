"""The row of Pick Edit: what it chooses, from what, what that costs, and that it never sees the truth."""

from types import SimpleNamespace

import numpy as np
import pytest

from demo import classifier

from . import metrics, pairs
from .methods import default
from .pack import ETAS, PICKED_FROM
from .studio import STEPS
from .test_metrics import perfect

PAIR = pairs.development()[2]  # puts a hat or the like on an animal


@pytest.fixture(scope="module")
def outcome():
    """A pair with nothing of it but source and texts."""
    from .studio import Studio

    blind = SimpleNamespace(
        source=PAIR.source,
        edit=SimpleNamespace(source_caption=PAIR.edit.source_caption, target_caption=PAIR.edit.target_caption),
    )
    return default.edit(Studio(), blind)


def shows_the_target(picture: np.ndarray) -> bool:
    """As the classifier says, which the pick never sees."""
    seen = classifier.predict(classifier.load(), picture[None])
    return metrics.figures(PAIR, picture, perfect(PAIR), {name: values[0] for name, values in seen.items()}).target


def test_it_is_one_of_the_sweep_shows_the_edit_and_costs_all_of_that(outcome):
    assert [*outcome.pictures] == [*(f"{eta:g}" for eta in ETAS), default.PICKED]
    chosen = outcome.pictures[default.PICKED]
    assert any(np.array_equal(chosen, outcome.pictures[f"{eta:g}"]) for eta in PICKED_FROM)
    shown = {dial: shows_the_target(picture) for dial, picture in outcome.pictures.items()}
    assert shown[default.PICKED]
    assert not shown["0"]
    looked = 2 * default.SAMPLES * (len(PICKED_FROM) + 1)
    chosen_from = outcome.samples[default.PICKED]
    assert chosen_from.forward_equivalents == 4 * STEPS * len(PICKED_FROM) + looked
    assert (outcome.photo + outcome.target + chosen_from).forward_equivalents <= 500
