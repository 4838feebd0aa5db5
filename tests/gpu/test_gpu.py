"""What measures a GPU runs on a CPU as well, where its figures say nothing."""

import json
import subprocess
import sys

import pytest
import torch

from imagic.diffusers import DiffusersDenoiser
from scripts import hosts

from . import __main__ as gpu
from . import models, numerics, stages


def test_without_a_gpu_nothing_is_measured():
    hidden = {"CUDA_VISIBLE_DEVICES": "", "PATH": "", "PYTHONPATH": str(hosts.ROOT)}
    command = [sys.executable, "-m", "tests.gpu"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=hosts.ROOT, env=hidden, check=True)
    assert done.stdout == "No GPU is here: nothing was measured.\n"


def test_the_stages(monkeypatch):
    monkeypatch.setattr(stages, "STEPS", 1)
    model = stages.Model("demo", 64, "float32", "cpu")
    *steps, edit = [model.measure(stage) for stage in stages.STAGES]
    assert [set(figures) for figures in steps] == [{"seconds_a_step", "peak_mib"}] * 4
    assert set(edit) == {"seconds", "same", "peak_mib"}
    assert edit["same"]


def test_a_stage_that_does_not_fit_is_written_down(monkeypatch):
    def out_of_memory(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = stages.Model("demo", 64, "float32", "cpu")
    monkeypatch.setattr(stages, "fine_tune", out_of_memory)
    assert model.measure("B") == model.measure("edit") == {"reason": "it does not fit"}


def test_flux_is_called_as_it_is():
    """Of its real widths, with one block of each kind."""
    network = models.FluxTransformer2DModel(num_layers=0, num_single_layers=0, guidance_embeds=True)
    flow = models.FlowMatchEulerDiscreteScheduler(**models.SHIFT)
    pipeline = models.FluxPipeline(flow, None, None, None, None, None, network)
    latent, text, empty = models.example("flux", 64, "cpu")
    assert empty is None
    denoiser = DiffusersDenoiser(pipeline, latent.shape[-2:])
    with torch.no_grad():
        assert denoiser(latent, torch.ones(1), text).shape == latent.shape


def test_precisions():
    found = numerics._prediction_errors(*(numerics.load_pipeline("demo", device="cpu", dtype="float32") for _ in "12"))
    assert found.max() == 0
    coarse = numerics.load_pipeline("demo", device="cpu", dtype="bfloat16")
    exact = numerics.load_pipeline("demo", device="cpu", dtype="float32")
    assert 1e-4 < float(numerics._prediction_errors(exact, coarse).max()) < 0.1


@pytest.mark.parametrize(
    ("code", "printed", "found"),
    [
        (0, 'building ...\n{"A": 1}\n{"A": 1, "B": 2}\n', {"A": 1, "B": 2}),
        (1, 'building ...\n{"A": 1}\n', {"A": 1, "ended": "ValueError: b"}),
        (1, "building ...\n", {"reason": "ValueError: b"}),
    ],
    ids=["done", "ended early", "nothing"],
)
def test_what_was_measured_before_a_failure_stays_and_says_so(monkeypatch, code, printed, found):
    done = subprocess.CompletedProcess([], code, printed, "Traceback\nValueError: b\n" if code else "")
    monkeypatch.setattr(gpu.subprocess, "run", lambda *_, **__: done)
    assert gpu.ask("tests.gpu.stages") == found


def test_the_table_goes_between_its_marks():
    each = {stage: {"seconds_a_step": 0.5, "peak_mib": 2048} for stage in stages.STAGES}
    each |= {"sampling": {"reason": "it does not fit"}, "edit": {"seconds": 3.25, "peak_mib": 2048}}
    text = gpu.table({"device": "Card", "stages": {"sd15": {"512": each}}})
    cells = [*["2.0 GiB, 500 ms"] * 3, "it does not fit", "2.0 GiB, 3.2 s"]
    line = f"| Stable Diffusion 1.5 | 512 | {' | '.join(cells)} |"
    assert line in text
    once = gpu.put_into(f"a\n{gpu.BEGIN}\nold\n{gpu.END}\nb\n", text)
    assert once == f"a\n{gpu.BEGIN}\n{text}{gpu.END}\nb\n" == gpu.put_into(once, text)
    assert gpu.put_into("no marks", text) == "no marks"


def test_the_page_has_the_table_of_the_file():
    """Whoever measures anew writes both."""
    found = json.loads(gpu.FILE.read_text(encoding="utf-8"))
    page = gpu.PAGE.read_text(encoding="utf-8")
    assert gpu.BEGIN in page
    assert gpu.put_into(page, gpu.table(found)) == page
