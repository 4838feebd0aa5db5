"""The stopwatch and the figures, where the answer is known."""

import json
import time

import pytest
import torch
from torch import nn

from . import __main__ as benchmarks
from . import full_size
from .memory import forget_peak, peak
from .stopwatch import Stopwatch


class Slow(nn.Module):
    def __init__(self, seconds: float):
        super().__init__()
        self.weight, self.seconds = nn.Parameter(torch.ones(4)), seconds

    def forward(self, x):
        time.sleep(self.seconds)
        return x * self.weight


def train(network: nn.Module, steps: int, around: float = 0.0) -> None:
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(steps):
        time.sleep(around)
        network(torch.ones(4)).sum().backward()
        optimizer.step()


def test_a_step_is_measured_against_a_forward():
    network = Slow(0.05)
    with Stopwatch(lambda: time.sleep(0.025)) as watch:
        train(network, 4)
    assert len(watch.steps) == len(watch.forwards) == 3
    assert sorted(watch.ratios())[1] == pytest.approx(2, rel=0.5)


def test_time_outside_forward_backward_and_optimizer_is_told_apart():
    network = Slow(0.01)
    backward = torch.Tensor.backward
    with Stopwatch(network=network) as watch:
        train(network, 4, around=0.03)
    outside = [step - inside for step, inside in zip(watch.steps, watch.inside, strict=True)]
    assert min(outside) >= 0.03
    assert min(watch.inside) >= 0.01
    assert torch.Tensor.backward is backward


def test_nothing_is_timed_outside_of_it():
    with Stopwatch() as watch:
        pass
    train(Slow(0), 3)
    assert watch.steps == []


def test_the_peak_of_memory_rises_with_what_is_held():
    forget_peak()
    before = peak()
    held = torch.ones(64, 1024, 1024)
    assert peak() - before >= 0.9 * held.nbytes


def test_figures_are_medians_of_quotients():
    measured = {"stage_a": {"ratios": [2.0, 2.5, 9.0]}, "peer_a": {"ratios": [4.0, 2.5, 18.0]}}
    assert benchmarks.figure("stage_a_step_over_forward", measured)["value"] == 2.5
    compared = benchmarks.figure("peer_stage_a_over_ours", measured)
    assert (compared["value"], compared["target"], compared["runs"]) == (2, 1.0, [2, 1, 2])


def test_what_could_not_be_run_says_why():
    measured = {"lora": {"ratios": [1.0], "peak": 1}, "peer_b": {"reason": "no PEER was named"}}
    assert benchmarks.figure("peer_stage_b_over_ours", measured) == {
        "value": None,
        "target": 1.6,
        "runs": [],
        "reason": "no PEER was named",
    }
    text = benchmarks.markdown({"peer_stage_b_over_ours": benchmarks.figure("peer_stage_b_over_ours", measured)}, "c")
    assert "no PEER was named" in text


def test_an_edit_at_full_size_is_measured_by_stage(monkeypatch, tmp_path):
    """On a narrow network of SDXL's kind, which is called in the same way."""
    found = {stage: full_size.measure("narrow", 64, stage) for stage in full_size.STAGES}
    assert all(stage["peak"] > 2**20 and stage["seconds"] >= 0 for stage in found.values())
    monkeypatch.setattr(full_size, "FILE", tmp_path / "full_size.json")
    assert full_size.markdown() == ""
    stages = {"B": {"seconds": 61.2, "peak": 3 * 2**30}, "sampling": {"seconds": 1.0, "peak": 2 * 2**30}}
    full_size.FILE.write_text(json.dumps({"sdxl": {"512": stages}}))
    assert "| SDXL | 512 | – | 3.0 GiB, 61 s | 2.0 GiB, 1 s | 1.50 |" in full_size.markdown()


def test_every_stage_at_full_size_has_a_process_of_its_own(monkeypatch, tmp_path):
    """What a process has allocated before would count for the stage: here two gigabytes."""
    monkeypatch.setattr(full_size, "FILE", tmp_path / "full_size.json")
    earlier = {"narrow": {"32": {"B": {"seconds": 1.0, "peak": 1}}}, "sd15": {}}
    full_size.FILE.write_text(json.dumps(earlier))
    held = torch.ones(2**29)
    full_size.run(["narrow"], [64], ["sampling"])
    found = json.loads(full_size.FILE.read_text())
    assert 2**20 < found["narrow"].pop("64")["sampling"]["peak"] < held.nbytes
    assert found == earlier
