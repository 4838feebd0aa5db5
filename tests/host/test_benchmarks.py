"""The benchmark's measurements on a host do run, each in its own process, on the demo model."""

import pytest

from scripts.hosts import RELEASE, version_key
from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks.measurements import RUNS


@pytest.mark.parametrize("name", sorted(benchmarks.ON_HOST))
def test_a_measurement_runs_or_says_which_host_it_needs(comfyui, monkeypatch, name):
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui.path))
    measured = benchmarks.measure(name, "demo")
    if version_key(comfyui.version) < version_key(RELEASE):
        assert measured["reason"].endswith(f"has no Train LoRA to compare with: set COMFYUI_PATH to {RELEASE}.")
        return
    assert len(measured["ratios"]) == RUNS, measured
    assert all(0 < ratio < (1 if name == "loop" else 100) for ratio in measured["ratios"])
