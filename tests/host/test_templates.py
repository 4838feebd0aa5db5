"""The templates run on a real host, as short as can be; those for large checkpoints with the demo model in place."""

import io

import numpy as np
import pytest
from PIL import Image

from scripts import workflow
from scripts.templates import thumbnails


def shortened(name: str, client) -> dict:
    """A template with two steps of everything."""
    graph = thumbnails.with_demo_model(name, workflow.load(name), client)
    for content in graph.values():
        inputs = content["inputs"]
        short = {"steps": 2, "samples": 1, "sweep": "0, 1"}
        inputs |= {key: value for key, value in short.items() if inputs.get(key) and not isinstance(inputs[key], list)}
    return graph


def picture(client, image: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.view(image))).convert("RGB")).astype(int)


def test_outside_the_mask_every_pixel_is_the_photos(client):
    graph = shortened("imagic_keep_with_mask", client)
    (image,) = client.run(graph).outputs[workflow.node(graph, "The edit")]["images"]
    photo = np.asarray(Image.open(workflow.PHOTO).convert("RGB")).astype(int)
    changed = (picture(client, image) != photo).any(-1)
    masked = np.asarray(thumbnails.masked_photo().getchannel("A")) == 0
    assert changed[masked].mean() > 0.9
    # Grow Mask adds four pixels on each side.
    rows, columns = (np.flatnonzero(masked.any(axis)) for axis in (1, 0))
    changed[rows[0] - 4 : rows[-1] + 5, columns[0] - 4 : columns[-1] + 5] = False
    assert not changed.any()


@pytest.mark.parametrize("name", ["imagic_photo_sd15_sdxl", "imagic_flux"])
def test_what_real_checkpoints_are_put_into_works_with_the_demo_model(client, server, name):
    if name == "imagic_flux" and "FluxGuidance" not in client.object_info():
        assert server.host.version == "2024-03"
        pytest.skip("ComfyUI of March 2024 is older than Flux")
    graph = shortened(name, client)
    outputs = client.run(graph).outputs
    assert len(outputs[workflow.node(graph, "Each eta")]["images"]) == 2
    assert len(outputs[workflow.node(graph, "The sheet")]["images"]) == 1


def test_one_tuning_serves_three_targets(client):
    graph = shortened("imagic_tune_once_edit_many", client)
    outputs = client.run(graph).outputs
    edits = [picture(client, outputs[workflow.node(graph, f"Edit {place}")]["images"][0]) for place in (1, 2, 3)]
    assert all(np.abs(one - other).max() > 8 for one, other in zip(edits, edits[1:] + edits[:1], strict=True))
