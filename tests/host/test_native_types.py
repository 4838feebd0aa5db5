"""What the training nodes give is what the host's own nodes take."""

import copy
import io

import numpy as np
from PIL import Image
from safetensors.torch import load_file

from scripts import workflow

A, B, ROW = "A: optimize the embedding", "B: tune the model", "Row of eta"


def test_save_lora_load_lora_and_plot_loss_graph_take_our_outputs(client, server, comfyui):
    known = client.object_info()
    save_lora = "SaveLoRA" if "SaveLoRA" in known else "SaveLoRANode"  # its older id
    if not known.keys() >= {save_lora, "LoraModelLoader", "LossGraphNode"}:
        # There test_stages holds the LoRA against the old Load LoRA.
        assert comfyui.version == "2024-03", "only hosts from before ComfyUI trained LoRAs lack these nodes"
        return
    graph = workflow.load()
    workflow.inputs(graph, "Photo")["image"] = client.upload_image(workflow.PHOTO)
    workflow.inputs(graph, A).update(steps=2, samples=1)
    workflow.inputs(graph, B).update(steps=5, samples=2, rank=4)
    workflow.inputs(graph, "C: from the photo to the target").update(sweep="1")
    workflow.inputs(graph, "Sample each eta").update(steps=2)
    tune, sampler = workflow.node(graph, B), workflow.node(graph, "Sample each eta")
    # Keep Photo off, so that the loaded LoRA alone makes the difference.
    graph[sampler]["inputs"]["model"] = [tune, 0]
    add(graph, "loader", "LoraModelLoader", model=["2", 0], lora=[tune, 1], strength_model=1.0, bypass=False)
    graph["loaded sampler"] = copy.deepcopy(graph[sampler])
    graph["loaded sampler"]["inputs"]["model"] = ["loader", 0]
    add(graph, "loaded", "VAEDecode", samples=["loaded sampler", 0], vae=["2", 2])
    add(graph, "save", "SaveImage", images=["loaded", 0], filename_prefix="loaded")
    add(graph, "save lora", save_lora, lora=[tune, 1], prefix="loras/imagic", steps=5)
    for name, node in (("plot a", workflow.node(graph, A)), ("plot b", tune)):
        add(graph, name, "LossGraphNode", loss=[node, 1 if name == "plot a" else 2], filename_prefix="loss")
    outputs = client.run(graph).outputs

    tuned, loaded = (picture(client, outputs[node]) for node in (workflow.node(graph, ROW), "save"))
    np.testing.assert_array_equal(loaded, tuned)
    for plot in ("plot a", "plot b"):
        assert picture(client, outputs[plot]).std() > 0
    (file,) = (server.output / "loras").glob("imagic_5_steps_*.safetensors")
    names = load_file(file).keys()
    assert all(name.startswith("lora_unet_") for name in names)


def add(graph, name, class_type, **inputs):
    graph[name] = {"class_type": class_type, "inputs": inputs, "_meta": {"title": name}}


def picture(client, output) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.view(output["images"][0]))))
