"""The automatic pick on a real host: told by the model alone, it finds the true edit among decoys."""

import importlib
import inspect
import sys

import numpy as np
import pytest
import torch

from demo.scenes import Scene, render
from demo.scenes.edits import KINDS, draw_edits

EDITS = draw_edits(2, seed=5)


def image(scene: Scene) -> torch.Tensor:
    return torch.from_numpy(np.array(render(scene)))[None] / 255


@pytest.fixture(scope="module")
def pick(studio):
    """Picks as the host calls a node that takes lists, with the photo's caption as the optimized embedding."""

    def run(edit, images, eta=None, **changes):
        inputs = {"model": [studio.model], "vae": [studio.vae], "source": [image(edit.scene)], "images": images}
        inputs |= {"optimized": [studio.text(edit.source_caption)], "target": [studio.text(edit.target_caption)]}
        inputs |= {"eta": eta or [float(number) for number in range(len(images))], "samples": [8]}
        with torch.inference_mode():
            return studio.nodes["ImagicPickEdit"]().pick(**inputs | changes)

    return run


def test_it_looks_as_often_as_python_does_and_as_editbench_measures(studio):
    pack = studio.nodes["ImagicPickEdit"].__module__.rpartition(".nodes.")[0]
    scoring = importlib.import_module(f"{pack}.imagic.scoring")
    _, options = studio.nodes["ImagicPickEdit"].INPUT_TYPES()["required"]["samples"]
    for function in (scoring.rank, scoring.explained_better):
        assert inspect.signature(function).parameters["samples"].default == options["default"]


def test_the_true_edit_is_told_from_the_photo_and_from_another_picture_of_the_target(pick):
    """A picture that shows the target and has lost the photo wins now and then, the photo unchanged never."""
    wins = []
    for edit in EDITS:
        other = Scene(edit.truth.attributes, edit.scene.seed + 1)
        wins.append(pick(edit, [image(edit.scene), image(edit.truth), image(other)])["result"][2])
    assert len(wins) == 2 * len(KINDS)
    assert 1 not in wins
    assert wins.count(2) >= 8


def test_everything_it_gives_belongs_to_one_picture(pick, studio):
    edit = EDITS[0]
    photo, truth = image(edit.scene), image(edit.truth)
    weights = studio.weights()
    answer = pick(edit, [torch.cat([photo, photo]), torch.cat([photo, truth])], eta=[0.0, 0.8])
    picture, eta, number, batch_index, ranking, chart = answer["result"]
    assert torch.equal(picture, truth)
    assert (eta, number, batch_index) == (0.8, 4, 1)
    assert ranking.splitlines()[0].startswith("1. eta 0.8 #2: alignment ")
    assert len(ranking.splitlines()) == 4
    assert chart.shape == (1, 540, 960, 3)
    assert answer["ui"]["imagic"][0]["forward_equivalents"] == 2 * 8 * 5
    assert all(torch.equal(tensor, weights[name]) for name, tensor in studio.weights().items())


def test_without_matplotlib_only_the_chart_is_missing_and_it_says_so(pick, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    edit = EDITS[0]
    picture, *_, ranking, chart = pick(edit, [image(edit.scene), image(edit.truth)])["result"]
    assert torch.equal(picture, image(edit.truth))
    assert ranking.splitlines()[-1].startswith("Charts need matplotlib: install it")
    assert chart.shape == (1, 64, 64, 3)


def test_bad_input_is_refused_in_one_sentence(pick):
    edit = EDITS[0]
    photo = image(edit.scene)
    for changes, message in (
        ({"eta": [1.0, 2.0]}, r"There are 1 pictures and 2 eta: connect .*\.$"),
        ({"samples": [0]}, "samples is 0: set it between 1 and 256"),
        ({"source": [photo[:, :64]]}, r"differ in size: connect the photo that was encoded\.$"),
        ({"target": [[]]}, "The target conditioning is empty"),
        (
            {"optimized": [[[torch.ones(1, 5, 7), {}]]]},
            r"The text's tokens are 7 wide but the model reads 128: use the text encoder that belongs to this model\.$",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            pick(edit, [photo], **changes)
