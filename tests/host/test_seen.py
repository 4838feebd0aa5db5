"""What a person sees on the nodes themselves: pictures, sliders and names in an artist's words."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def photo(studio):
    return studio.decode(studio.latent)


@pytest.fixture
def sent(studio, monkeypatch):
    """Lines written on nodes, by id."""
    lines = {}
    for name in ("pick_edit", "save_edit"):
        say = lambda node_id: lambda text: lines.setdefault(node_id, []).append(text)  # noqa: E731
        monkeypatch.setattr(studio.module(f"nodes.{name}"), "text_sender", say)
    return lines


def shown(answer: dict) -> np.ndarray:
    """The picture that a node shows."""
    (image,) = answer["ui"]["images"]
    assert image["type"] == "temp"
    folder = importlib.import_module("folder_paths").get_temp_directory()
    return np.asarray(Image.open(Path(folder) / image["subfolder"] / image["filename"]))


def greens(picture: np.ndarray) -> int:
    """How many pixels are of the colour of a winner's frame."""
    return int((picture == (30, 150, 70)).all(-1).sum())


@pytest.mark.parametrize("node", ["ImagicEditRegion", "ImagicKeepPhoto", "ImagicPickEdit"])
def test_newer_hosts_show_pictures_on_a_node_that_is_no_output(studio, node):
    assert studio.nodes[node].HAS_INTERMEDIATE_OUTPUT is True
    assert not getattr(studio.nodes[node], "OUTPUT_NODE", False)


@pytest.mark.parametrize("region", [None, torch.eye(128)[None]], ids=["found", "painted"])
def test_keep_photo_shows_its_region(studio, region):
    with torch.inference_mode():
        answer = studio.nodes["ImagicKeepPhoto"]().keep(
            studio.model, studio.latent, studio.target, studio.text("a cat"), 0.4, region
        )
    expected = (answer["result"][1][0, ..., None].expand(-1, -1, 3) * 255).round().byte().numpy()
    np.testing.assert_array_equal(shown(answer), expected)


def test_pick_edit_shows_all_pictures_in_order_and_frames_the_winner(studio, photo, sent):
    images = [photo, photo.flip(2), torch.zeros_like(photo)]
    inputs = {"model": [studio.model], "vae": [studio.vae], "source": [photo], "images": images, "samples": [1]}
    inputs |= {"optimized": [studio.target], "target": [studio.text("a cat")], "eta": [0.0, 0.5, 1.0]}
    with torch.inference_mode():
        answer = studio.nodes["ImagicPickEdit"]().pick(**inputs, node_id=["7"])
    picture, best = shown(answer), answer["result"][2]
    thirds = np.array_split(picture, 3, axis=1)
    assert greens(thirds[0]) > 500
    assert sum(map(greens, thirds[1:])) < 0.1 * greens(thirds[0])
    seen = np.asarray(Image.fromarray((images[best - 1][0] * 255).round().byte().numpy()).resize((192, 192)))
    inside = thirds[0][-180:-20, 20:-20].astype(int).mean((0, 1))
    np.testing.assert_allclose(inside, seen[20:-20, 20:-20].mean((0, 1)), atol=12)
    assert sent == {"7": [f"best: {answer['result'][4].splitlines()[0][3:]}"]}


def test_save_edit_shows_what_it_saved_and_where(studio, photo, sent, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("folder_paths"), "output_directory", str(tmp_path))
    lora = studio.tune(steps=1, samples=1, rank=1)["result"][1]
    with torch.inference_mode():
        answer = studio.nodes["ImagicSaveEdit"]().save(
            studio.model, studio.target, studio.target, lora, photo, "cats/tom", node_id="9"
        )
    (line,) = answer["ui"]["text"]
    assert sent == {"9": [line]}
    assert (tmp_path.parent / line.removeprefix("saved as ").replace("output", tmp_path.name, 1)).is_file()
    picture = shown(answer)
    assert picture.shape[1] > 500
    assert (picture[-200:, 100:-100].std((0, 1)) > 10).any()  # the photo, and above it the line
    assert (picture[20:60] < 100).any()


SLIDERS = {
    ("ImagicInterpolateEmbedding", "eta"): "strength",
    ("ImagicEditRegion", "threshold"): "keep",
    ("ImagicKeepPhoto", "threshold"): "keep",
    ("ImagicTuningStrength", "strength"): "tuning strength",
    ("ImagicLoadEdit", "strength"): "tuning strength",
}


@pytest.mark.parametrize(("node", "widget"), SLIDERS)
def test_strength_and_keep_are_sliders_with_the_methods_word_in_the_tooltip(pack, node, widget):
    kind, options = pack.NODE_CLASS_MAPPINGS[node].INPUT_TYPES()["required"][widget]
    assert (kind, options["display"], options["display_name"]) == ("FLOAT", "slider", SLIDERS[node, widget])
    if widget != "strength":
        assert f"({widget})" in options["tooltip"]


def test_saved_workflows_find_their_widgets_where_they_were(pack):
    """Values are saved by place: a new widget may only come last."""
    kinds = ("INT", "FLOAT", "STRING", "BOOLEAN")
    found = {}
    for node_id, node in pack.NODE_CLASS_MAPPINGS.items():
        inputs = node.INPUT_TYPES()
        declared = {**inputs["required"], **inputs.get("optional", {})}
        found[node_id] = [
            name
            for name, (kind, options) in declared.items()
            if (isinstance(kind, list) or kind in kinds) and not options.get("forceInput")
        ]
    stage = ["steps", "learning_rate", "schedule", "samples"]
    expected = {
        "ImagicOptimizeEmbedding": [*stage, "seed", "gradient_checkpointing", "remember"],
        "ImagicFineTuneUNet": ["tune", "rank", *stage, "gradient_checkpointing", "seed", "remember"],
        "ImagicInterpolateEmbedding": ["eta", "sweep"],
        "ImagicEditRegion": ["threshold"],
        "ImagicKeepPhoto": ["threshold"],
        "ImagicDemoCheckpoint": ["kind"],
        "ImagicEditSheet": ["cell"],
        "ImagicLossChart": ["title"],
        "ImagicSaveEdit": ["name"],
        "ImagicLoadEdit": ["edit", "strength"],
        "ImagicTuningStrength": ["strength"],
        "ImagicPickEdit": ["samples", "text"],
    }
    assert {node_id: found[node_id] for node_id in expected} == expected
