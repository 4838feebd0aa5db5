"""The demo model is built as the host's own loaders build theirs, so that the host's own nodes take it."""

import pytest
import torch

from scripts import workflow

from .conftest import in_inference_mode


def test_the_hosts_own_trainer_trains_it(client):
    info = client.object_info()
    if "TrainLoraNode" not in info:
        pytest.skip("this host has no Train LoRA")
    save = "SaveLoRA" if "SaveLoRA" in info else "SaveLoRANode"
    inputs = info["TrainLoraNode"]["input"]["required"]
    settings = {name: kind[1]["default"] for name, kind in inputs.items() if len(kind) > 1 and "default" in kind[1]} | {
        "steps": 2,
        "training_dtype": "fp32",
        "lora_dtype": "fp32",
    }
    graph = {
        "photo": {"class_type": "LoadImage", "inputs": {"image": client.upload_image(workflow.PHOTO)}},
        "demo": {"class_type": "ImagicDemoCheckpoint", "inputs": {}},
        "latent": {"class_type": "VAEEncode", "inputs": {"pixels": ["photo", 0], "vae": ["demo", 2]}},
        "text": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["demo", 1], "text": "a dog"}},
        "train": {
            "class_type": "TrainLoraNode",
            "inputs": {**settings, "model": ["demo", 0], "latents": ["latent", 0], "positive": ["text", 0]},
        },
        "save": {"class_type": save, "inputs": {"lora": ["train", 0], "prefix": "loras/own"}},
    }
    # Hosts of 2025 give a MODEL first.
    graph["save"]["inputs"]["lora"] = ["train", info["TrainLoraNode"]["output"].index("LORA_MODEL")]
    assert "save" in client.run(graph).ran


@in_inference_mode
def test_each_part_can_be_loaded_again(studio):
    """What newer hosts do for a second GPU, and before they train."""
    for patcher in (studio.model, studio.clip.patcher, studio.vae.patcher):
        load, arguments, *index = patcher.cached_patcher_init
        other = load(*arguments, disable_dynamic=True)
        assert not index
        assert other.model is not patcher.model
        others = other.model.state_dict()
        assert all(torch.equal(tensor.cpu(), others[name].cpu()) for name, tensor in patcher.model.state_dict().items())
