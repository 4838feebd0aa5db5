"""The region as a node: the same mask that Keep Photo finds, to look at, to change and to hand on."""

import importlib
from pathlib import Path

import comfy.model_management
import comfy.utils
import numpy as np
import pytest
import torch
from PIL import Image

from demo.scenes import render
from demo.scenes.edits import draw_edits

from .conftest import in_inference_mode


class Bench:
    @in_inference_mode
    def __init__(self, studio):
        edit = draw_edits(2, seed=20)[0]
        self.studio = studio
        self.latent = studio.encode(torch.from_numpy(np.array(render(edit.scene)))[None] / 255)
        self.caption, self.target = studio.text(edit.source_caption), studio.text(edit.target_caption)

    @in_inference_mode
    def find(self, **changes) -> dict:
        inputs = {"model": self.studio.model, "latent": self.latent, "optimized": self.caption, "target": self.target}
        return self.studio.nodes["ImagicEditRegion"]().find(**{**inputs, "threshold": 0.4, **changes})

    @in_inference_mode
    def keep(self, **changes) -> tuple:
        inputs = {"model": self.studio.model, "latent": self.latent, "optimized": self.caption, "target": self.target}
        return self.studio.nodes["ImagicKeepPhoto"]().keep(**{**inputs, "threshold": 0.4, **changes})["result"]


@pytest.fixture(scope="module")
def bench(studio):
    return Bench(studio)


def test_it_is_the_region_that_keep_photo_finds(bench):
    mask, picture = bench.find()["result"]
    assert torch.equal(mask, bench.keep()[1])
    assert mask.shape == (1, 128, 128)
    assert 0 < mask.mean() < 0.8
    assert torch.equal(picture, mask.unsqueeze(-1).expand(1, 128, 128, 3))


def test_keep_photo_takes_it_and_draws_the_same_edit(bench):
    mask, _ = bench.find()["result"]
    edits = [
        bench.studio.sample(model, bench.target, steps=8, latent_image=bench.latent)["samples"]
        for model in (bench.keep()[0], bench.keep(region=mask, threshold=0.0)[0])
    ]
    torch.testing.assert_close(edits[1], edits[0], rtol=1e-4, atol=1e-4)


def test_the_node_shows_its_picture(bench):
    answer = bench.find()
    (shown,) = answer["ui"]["images"]
    folder = importlib.import_module("folder_paths").get_temp_directory()
    assert shown["type"] == "temp"
    seen = np.asarray(Image.open(Path(folder) / shown["subfolder"] / shown["filename"]))
    np.testing.assert_array_equal(seen, (answer["result"][1][0] * 255).round().byte().numpy())


def test_no_threshold_is_the_whole_picture_and_its_cost_is_told(bench):
    answer = bench.find(threshold=0.0)
    assert (answer["result"][0] == 1).all()
    assert answer["ui"]["imagic"][0]["forward_equivalents"] == 24


def test_a_painted_region_is_taken_as_it_is_and_a_white_one_is_none(bench):
    painted = torch.zeros(1, 128, 128)
    painted[:, 16:64, 32:96] = 1
    answer = bench.find(painted=painted)
    assert torch.equal(answer["result"][0], painted)
    assert answer["ui"]["imagic"][0]["forward_equivalents"] == 0
    # Crop Photo gives a white one where nothing was painted.
    assert torch.equal(bench.find(painted=torch.ones(1, 128, 128))["result"][0], bench.find()["result"][0])


def test_the_node_shows_how_far_the_search_is(bench, monkeypatch):
    seen = []
    # Newer hosts leave out what comes sooner than this after the last, as on a GPU.
    monkeypatch.setattr(comfy.utils, "PROGRESS_THROTTLE_MIN_INTERVAL", 0, raising=False)
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: seen.append((value, total)))
    bench.find()
    # On a small photo the model sees all twelve noises at a time.
    # Another style or place would take 36; a local edit is done after 24.
    assert seen == [(12, 36), (24, 36), (36, 36)]


def test_cancel_ends_the_search_within_one_evaluation(bench):
    management, forwards = comfy.model_management, []

    def cancel(*_):
        forwards.append(1)
        if len(forwards) == 3:  # a trial of each text comes first
            management.interrupt_current_processing()

    hook = bench.studio.model.model.diffusion_model.register_forward_hook(cancel)
    try:
        with pytest.raises(management.InterruptProcessingException):
            bench.find()
    finally:
        hook.remove()
        management.interrupt_current_processing(False)
    assert len(forwards) == 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"threshold": 1.5}, "threshold is 1.5"), ({"optimized": []}, "conditioning"), ({"target": []}, "conditioning")],
)
def test_bad_input_gets_one_sentence(bench, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        bench.find(**changes)
