"""Fixtures of Keep Photo's cells, and what was found in them."""

import functools
import importlib
import json

import pytest

from scripts import hosts

FOUND: dict[str, float | None] = {}  # cell -> RMS at eta 0, None where refused


def benches():
    """Not at the top: pytest reads this file before the host can be imported."""
    return importlib.import_module(f"{__package__}.bench")


@pytest.fixture(scope="session")
def bench(studio):
    return benches().Bench(studio)


@pytest.fixture(scope="session")
def flow(studio):
    """The benches of rectified flow, by family."""
    return functools.cache(lambda name: benches().FlowBench(studio, name))


@pytest.fixture
def check(request):
    """Draws a cell at eta 0 and at the target. `draw` takes a conditioning."""

    def run(bench, draw, change: tuple | None = benches().EDITED) -> None:
        FOUND[request.node.name] = at_zero = bench.away(draw(bench.optimized))
        assert at_zero <= benches().EXACT
        if change:
            assert change[0] < bench.away(draw(bench.target)) < change[1]

    return run


@pytest.fixture
def check_refused(request):
    """Draws a cell that a sentence refuses."""

    def run(draw, sentence: str) -> None:
        FOUND[request.node.name] = None
        with pytest.raises(ValueError, match=sentence):
            draw()

    return run


@pytest.fixture(scope="session", autouse=True)
def results(request, pytestconfig, comfyui):
    """Write down what was found, if asked to, when the last test of all is over and none has failed."""
    yield
    if pytestconfig.getoption("--write-composition") and not request.session.testsfailed:
        path = hosts.ROOT / "tests" / "composition.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        exact = [rms for rms in FOUND.values() if rms is not None]
        known[comfyui.version] = {
            "cells": len(FOUND),
            "ok": sum(rms <= benches().EXACT for rms in exact),
            "refused": len(FOUND) - len(exact),
            "worst_eta0": max(exact),
        }
        newest_first = sorted(known.items(), key=lambda item: hosts.version_key(item[0]), reverse=True)
        path.write_text(json.dumps(dict(newest_first), indent=1) + "\n", encoding="utf-8")
