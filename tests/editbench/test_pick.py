"""The row of Pick Edit: what it chooses from, what that costs, and that it never sees the truth."""

from types import SimpleNamespace

import numpy as np
import pytest

from . import pairs
from .methods import default
from .pack import ETAS
from .studio import STEPS


@pytest.fixture(scope="module")
def outcome():
    """The first pair with nothing of it but source and texts."""
    from .studio import Studio

    pair = pairs.development()[0]
    blind = SimpleNamespace(
        source=pair.source,
        edit=SimpleNamespace(source_caption=pair.edit.source_caption, target_caption=pair.edit.target_caption),
    )
    return default.edit(Studio(), blind)


def test_it_is_one_of_the_sweep_and_costs_all_of_it(outcome):
    assert [*outcome.pictures] == [*(f"{eta:g}" for eta in ETAS), default.PICKED]
    chosen = outcome.pictures[default.PICKED]
    assert any(np.array_equal(chosen, outcome.pictures[f"{eta:g}"]) for eta in ETAS)
    looked = 2 * default.SAMPLES * (len(ETAS) + 1)
    assert outcome.samples[default.PICKED].forward_equivalents == 4 * STEPS * len(ETAS) + looked
