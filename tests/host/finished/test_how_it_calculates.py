"""What a finished stage depends on beside its inputs: the code of the pack and of the host, and how they calculate."""

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch


def test_the_packs_code_is_read_as_it_is_imported(studio, tmp_path, monkeypatch):
    """An update while the host runs changes files, not what trains."""
    module = studio.module("nodes.host.finished")
    fresh_spec = importlib.util.spec_from_file_location(f"{module.__name__}_again", module.__file__)
    fresh = importlib.util.module_from_spec(fresh_spec)
    fresh_spec.loader.exec_module(fresh)
    monkeypatch.setattr(fresh, "PACK", tmp_path)
    assert fresh._of_pack() == module._of_pack()


def functions_of_another_host(studio, monkeypatch, tmp_path):
    """One whose attention is calculated otherwise, in a function: the classes are the same."""
    management = studio.module("nodes.host.finished").comfy.model_management
    folder = tmp_path / "comfy"
    shutil.copytree(Path(management.__file__).parent, folder, ignore=lambda _, names: {"__pycache__"} & set(names))
    with (folder / "ldm" / "modules" / "attention.py").open("a", encoding="utf-8") as file:
        file.write("\noptimized_attention = attention_basic\n")
    monkeypatch.setattr(management, "__file__", str(folder / "model_management.py"))


def another_version(studio, monkeypatch, tmp_path):
    monkeypatch.setattr(studio.module("nodes.host.finished"), "version", "0.0.1")


def other_attention(studio, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.import_module("comfy.cli_args").args, "use_split_cross_attention", True)


def other_speed(studio, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.import_module("comfy.cli_args").args, "fast", {torch.float16}, raising=False)


def other_accumulation(studio, monkeypatch, tmp_path):
    # In place of it all, for pytest cannot put single switches of it back, and older versions of PyTorch have no such.
    switches = SimpleNamespace(allow_tf32=torch.backends.cuda.matmul.allow_tf32, allow_fp16_accumulation="otherwise")
    monkeypatch.setattr(torch.backends.cuda, "matmul", switches)


def other_reduction(studio, monkeypatch, tmp_path):
    cuda = torch.backends.cuda
    monkeypatch.setattr(cuda, "fp16_bf16_reduction_math_sdp_allowed", lambda: "otherwise", raising=False)


@pytest.mark.parametrize(
    "change",
    [
        functions_of_another_host,
        another_version,
        other_attention,
        other_speed,
        other_accumulation,
        other_reduction,
    ],
)
def test_a_host_that_calculates_otherwise_trains_again(studio, quick, trainings, monkeypatch, tmp_path, change):
    code = studio.module("nodes.host.finished")._of_host
    quick.optimize()
    with monkeypatch.context() as patch:
        change(studio, patch, tmp_path)
        code.cache_clear()
        quick.optimize()
    code.cache_clear()
    assert len(trainings) == 2
    quick.optimize()
    assert len(trainings) == 2
