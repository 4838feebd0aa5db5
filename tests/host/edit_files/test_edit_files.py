"""Save Imagic Edit and Load Imagic Edit in a host's folders."""

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


def another(studio):
    """The demo model once more, as a module of its own."""
    with torch.inference_mode():
        return studio.nodes["ImagicDemoCheckpoint"]().load()[0]


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


def test_files_are_numbered_and_found_again_newest_first(studio, save, output, listed):
    assert listed() == []
    names = [save(), save(), save("cats/tom")]
    assert names == ["edit_00001_.safetensors", "edit_00002_.safetensors", "cats/tom_00001_.safetensors"]
    for age, name in enumerate(names):
        os.utime(output / name, (1000 + age, 1000 + age))
    assert listed() == names[::-1]


def test_the_file_says_how_it_was_made(studio, save, output, monkeypatch):
    edit_file = studio.module("imagic.edit_file")
    about = edit_file.load(output / save(graph=GRAPH, node_id="5")).about
    assert about["base"] == "sd15.safetensors"
    assert about["size"] == [600, 300]
    assert {"node": "ImagicOptimizeEmbedding", "steps": 7} in about["settings"]
    assert {"node": "CLIPTextEncode", "text": "a cat"} in about["settings"]
    monkeypatch.setattr(studio.module("nodes.host.edits").args, "disable_metadata", True)
    assert edit_file.load(output / save(graph=GRAPH, node_id="5")).about["settings"] == []


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
    # A linked name is not known before the graph runs. NaN, which the host puts for an error, would run all behind it.
    assert is_changed(edit=None, model=None, strength=1.0) == ""
    path = Path(output / name)
    path.write_bytes(path.read_bytes()[:-100])
    assert is_changed(edit=name, model=None, strength=1.0) != before
    with pytest.raises(ValueError, match=r"edit_00001_.safetensors is damaged or incomplete"):
        load(name)


def test_what_a_file_cannot_hold_is_refused(studio, save):
    with pytest.raises(ValueError, match="carries model_conds, which a file cannot hold"):
        save(optimized=[[studio.target[0][0], {"model_conds": object()}]])


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
