"""A short tuning, and the two nodes that keep it, in an output folder of the test's own."""

import importlib

import pytest
import torch


@pytest.fixture
def output(comfyui, tmp_path, monkeypatch):
    """An output folder of the test's own; returns where edits go in it."""
    folders = importlib.import_module("folder_paths")
    monkeypatch.setattr(folders, "output_directory", str(tmp_path / "output"))
    return tmp_path / "output" / "imagic"


@pytest.fixture(scope="module")
def trained(studio):
    optimized = studio.optimize()["result"][0]
    tuned, lora, _ = studio.tune(conditioning=optimized)["result"]
    return {"optimized": optimized, "tuned": tuned, "lora": lora}


@pytest.fixture
def save(studio, trained, output):
    def run(name="edit", **changes):
        inputs = {"model": studio.model, "optimized": trained["optimized"], "anchor": studio.target}
        inputs |= {"lora": trained["lora"], "source": torch.full((1, 300, 600, 3), 0.25), "name": name}
        with torch.inference_mode():
            answer = studio.nodes["ImagicSaveEdit"]().save(**inputs | changes)
        return answer["ui"]["imagic"][0]["edit"]

    return run


@pytest.fixture
def load(studio):
    def run(edit, model=studio.model, strength=1.0):
        with torch.inference_mode():
            return studio.nodes["ImagicLoadEdit"]().load(model, edit, strength)

    return run


@pytest.fixture
def listed(studio):
    """What the widget of Load Imagic Edit offers."""
    return lambda: studio.nodes["ImagicLoadEdit"].INPUT_TYPES()["required"]["edit"][0]
