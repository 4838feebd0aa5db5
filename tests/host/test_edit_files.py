"""Save Imagic Edit and Load Imagic Edit in a host's folders, and the strength of a tuning."""

import importlib
import logging
import os
from pathlib import Path

import pytest
import torch

from scripts import workflow
from scripts.client import Rejected

GRAPH = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}},
    "2": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["1", 0], "lora_name": "style.safetensors"}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a cat"}},
    "4": {"class_type": "ImagicOptimizeEmbedding", "inputs": {"model": ["2", 0], "conditioning": ["3", 0], "steps": 7}},
    "5": {"class_type": "ImagicSaveEdit", "inputs": {"model": ["2", 0], "optimized": ["4", 0], "name": "edit"}},
}


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


def another(studio):
    """The demo model once more, as a module of its own."""
    with torch.inference_mode():
        return studio.nodes["ImagicDemoCheckpoint"]().load()[0]


def listed(studio):
    return studio.nodes["ImagicLoadEdit"].INPUT_TYPES()["required"]["edit"][0]


def test_what_is_loaded_samples_bit_by_bit_like_what_was_saved(studio, trained, save, load):
    model, optimized, anchor, lora, source = load(save())
    assert torch.equal(optimized[0][0], trained["optimized"][0][0])
    assert torch.equal(anchor[0][0], studio.target[0][0])
    assert optimized[0][1].keys() == trained["optimized"][0][1].keys()
    assert all(torch.equal(lora[name], tensor) for name, tensor in trained["lora"].items())
    assert source.shape == (1, 128, 256, 3)
    assert torch.allclose(source, torch.tensor(0.25), atol=0.01)
    conditioning = studio.interpolate(optimized, anchor)[0]
    expected = studio.sample(trained["tuned"], studio.interpolate(trained["optimized"], studio.target)[0])["samples"]
    assert torch.equal(studio.sample(model, conditioning)["samples"], expected)


def test_files_are_numbered_and_found_again_newest_first(studio, save, output):
    assert listed(studio) == []
    names = [save(), save(), save("cats/tom")]
    assert names == ["edit_00001_.safetensors", "edit_00002_.safetensors", "cats/tom_00001_.safetensors"]
    for age, name in enumerate(names):
        os.utime(output / name, (1000 + age, 1000 + age))
    assert listed(studio) == names[::-1]


def test_the_file_says_how_it_was_made(studio, save, output, monkeypatch):
    edit_file = studio.module("imagic.edit_file")
    about = edit_file.load(output / save(graph=GRAPH, node_id="5")).about
    assert about["base"] == "sd15.safetensors"
    assert about["size"] == [600, 300]
    assert {"node": "ImagicOptimizeEmbedding", "steps": 7} in about["settings"]
    assert {"node": "CLIPTextEncode", "text": "a cat"} in about["settings"]
    monkeypatch.setattr(studio.module("nodes.host.edits").args, "disable_metadata", True)
    assert edit_file.load(output / save(graph=GRAPH, node_id="5")).about["settings"] == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "/",
        ".",
        "..",
        "../edit",
        "a/../../edit",
        "/tmp/edit",
        "..\\edit",
        "C:\\edit",
        "c:edit",
        "a\0b",
        "a\nb",
        "a//b",
        "a/",
        ".hidden",
        "cats/.tom",
        ".cats/tom",
        "nul",
        "COM1/tom",
        "cats/aux.old",
        "lpt¹",
        "trail./tom",
        "cats /tom",
        "cats/ tom",
        "tom.",
        "x" * 181,
        "é" * 91,
        "cats/" * 200 + "tom",
        "\udcff",
    ],
)
def test_names_that_not_every_system_can_hold_are_refused_before_the_graph_runs(studio, save, output, name):
    with pytest.raises(ValueError, match=r"^name is .*\.$") as error:
        save(name)
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS(name=name) == str(error.value)
    assert len(str(error.value)) < 250
    assert [path for path in output.parents[1].rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["x" * 180, "猫" * 60, "a b/c.d", "com/nulls", "100 % & more", "cats\\tom"])
def test_whatever_is_saved_is_listed_and_loaded(studio, save, load, name):
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS(name=name) is True
    saved = save(name)
    assert listed(studio) == [saved]
    assert load(saved)[4].shape[0] == 1


def test_what_no_edit_is_saved_as_is_neither_listed_nor_loaded(studio, save, load, output):
    name = save()
    for other in (".hidden", "cats/.tom", ".cats/tom", "trail./tom"):
        path = output / f"{other}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((output / name).read_bytes())
        with pytest.raises(ValueError, match=r"choose an edit from the list\.$"):
            load(f"{other}.safetensors")
    assert listed(studio) == [name]


def test_a_name_that_comes_over_a_link_is_checked_when_it_is_known(studio):
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS() is True
    assert studio.nodes["ImagicSaveEdit"].VALIDATE_INPUTS(name=None) is True


def test_no_link_leads_out_of_the_folder(studio, save, load, output, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    name = save()
    (output / "out").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ValueError, match="leads out of"):
        save("out/edit")
    assert list(elsewhere.iterdir()) == []
    secret = elsewhere / "secret.safetensors"
    (output / name).rename(secret)
    for outside in (
        "../../elsewhere/secret.safetensors",
        "out/secret.safetensors",
        str(elsewhere / "secret.safetensors"),
    ):
        with pytest.raises(ValueError, match="outside of ComfyUI's output folder"):
            load(outside)


def test_another_checkpoint_of_the_kind_warns_and_names_its_own(studio, save, load, caplog):
    name = save(graph=GRAPH, node_id="5")
    other = another(studio)
    with caplog.at_level(logging.WARNING):
        load(name, other)
        assert "tuned on" not in caplog.text
        with torch.inference_mode():
            for weight in other.model.diffusion_model.parameters():
                weight.mul_(1.1)
        load(name, other)
    assert f"{name} was tuned on sd15.safetensors, and this is another checkpoint" in caplog.text


def test_a_model_of_another_kind_is_refused(studio, save, load):
    name = save(graph=GRAPH, node_id="5")
    other = another(studio)
    network = other.model.diffusion_model
    network.out[2] = torch.nn.Conv2d(network.out[2].in_channels, 8, 3)
    with pytest.raises(ValueError, match=r"tuned on sd15.safetensors, a model of another kind: load that checkpoint\."):
        load(name, other)


def test_the_base_is_recognized_under_patches_and_while_they_are_applied(studio, trained, save, load, caplog):
    studio.sample(trained["tuned"], studio.target)  # leaves the patches in the shared weights
    name = save()
    studio.sample(studio.model, studio.target)
    with caplog.at_level(logging.WARNING):
        load(name, trained["tuned"])
        load(name)
    assert "another checkpoint" not in caplog.text


def test_a_changed_file_is_loaded_again_and_a_damaged_one_refused(studio, save, load, output):
    name = save()
    is_changed = studio.nodes["ImagicLoadEdit"].IS_CHANGED
    before = is_changed(edit=name, model=None, strength=1.0)
    assert is_changed(edit=name, model=None, strength=1.0) == before
    path = Path(output / name)
    path.write_bytes(path.read_bytes()[:-100])
    assert is_changed(edit=name, model=None, strength=1.0) != before
    with pytest.raises(ValueError, match=r"edit_00001_.safetensors is damaged or incomplete"):
        load(name)


def test_what_a_file_cannot_hold_is_refused(studio, save):
    with pytest.raises(ValueError, match="carries model_conds, which a file cannot hold"):
        save(optimized=[[studio.target[0][0], {"model_conds": object()}]])


def test_strength_scales_the_tuning(studio, trained, load, save):
    apply = studio.nodes["ImagicTuningStrength"]().apply
    output = {
        strength: studio.sample(apply(studio.model, trained["lora"], strength)[0], studio.target)["samples"]
        for strength in (0.0, 0.5, 1.0)
    }
    base = studio.sample(studio.model, studio.target)["samples"]
    torch.testing.assert_close(output[0.0], base, atol=1e-5, rtol=0)
    assert torch.equal(output[1.0], studio.sample(trained["tuned"], studio.target)["samples"])
    near, far = ((output[strength] - base).norm() for strength in (0.5, 1.0))
    assert 0.2 * far < near < 0.8 * far
    half = load(save(), strength=0.5)[0]
    assert torch.equal(studio.sample(half, studio.target)["samples"], output[0.5])
    with pytest.raises(ValueError, match="strength is 3"):
        apply(studio.model, trained["lora"], 3.0)


@pytest.mark.parametrize("layer", ["a", "a.lora_up.weight", "lora_unet_no_such_layer.diff"])
def test_a_lora_that_changes_nothing_of_the_model_is_refused(studio, layer):
    apply = studio.nodes["ImagicTuningStrength"]().apply
    with pytest.raises(ValueError, match=r"^The lora is of another model: connect the model that it was tuned on\.$"):
        apply(studio.model, {layer: torch.zeros(2, 2)}, 1.0)


def test_an_edit_goes_from_one_queue_to_the_next(client):
    graph = workflow.load()
    workflow.inputs(graph, "Photo")["image"] = client.upload_image(workflow.PHOTO)
    for title in ("A: optimize the embedding", "B: tune the model"):
        workflow.inputs(graph, title).update(steps=1, samples=1)
    model, photo, text, optimize, tune = (
        workflow.node(graph, title)
        for title in ("Demo model", "Photo", "Target text", "A: optimize the embedding", "B: tune the model")
    )
    saving = {
        "model": [model, 0],
        "optimized": [optimize, 0],
        "anchor": [text, 0],
        "lora": [tune, 1],
        "source": [photo, 0],
        "name": "queue",
    }
    save = {"class_type": "ImagicSaveEdit", "inputs": saving, "_meta": {"title": "Save"}}
    needed = (
        "Demo model",
        "Photo",
        "Encode the photo",
        "Target text",
        "A: optimize the embedding",
        "B: tune the model",
    )
    parts = {workflow.node(graph, title): graph[workflow.node(graph, title)] for title in needed}
    with pytest.raises(Rejected, match=r"ImagicSaveEdit.* name is '\.queue', which would be hidden"):
        client.run(parts | {"save": {**save, "inputs": {**saving, "name": ".queue"}}})
    saved = client.run(parts | {"save": save}).outputs["save"]["imagic"][0]["edit"]
    loading = {"model": ["model", 0], "edit": saved, "strength": 1.0}
    preview = {
        "model": {"class_type": "ImagicDemoCheckpoint", "inputs": {}},
        "load": {"class_type": "ImagicLoadEdit", "inputs": loading},
        "preview": {"class_type": "PreviewImage", "inputs": {"images": ["load", 4]}},
    }
    assert len(client.run(preview).outputs["preview"]["images"]) == 1
    with pytest.raises(Rejected, match="ImagicLoadEdit"):
        client.run(
            preview | {"load": {"class_type": "ImagicLoadEdit", "inputs": loading | {"edit": "../x.safetensors"}}}
        )
