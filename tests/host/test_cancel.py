"""Cancel, progress and previews, as a user at the graph editor sees them."""

import importlib
import io
import time
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from scripts import workflow
from scripts.client import Interrupted

A, B = "A: optimize the embedding", "B: tune the model"


@pytest.fixture
def graph(client):
    """The demo's graph with as little of everything as there can be."""
    graph = workflow.load()
    workflow.inputs(graph, "Photo")["image"] = client.upload_image(workflow.PHOTO)
    workflow.inputs(graph, "C: from the photo to the target").update(sweep="0")
    workflow.inputs(graph, "Sample each eta").update(steps=1)
    workflow.inputs(graph, A).update(steps=2, samples=1)
    workflow.inputs(graph, B).update(steps=2, samples=1)
    return graph


@pytest.mark.parametrize("stage", [A, B])
def test_cancel_ends_a_stage_within_a_step_and_the_next_prompt_is_unaffected(client, graph, stage):
    workflow.inputs(graph, stage).update(seed=101)
    expected = picture(client, graph, client.run(graph))

    endless = {name: {**content, "inputs": dict(content["inputs"])} for name, content in graph.items()}
    workflow.inputs(endless, stage).update(steps=9999, seed=102)
    steps, times = [], {}

    def on_event(event):
        if event.type == "progress" and event.data.get("node") == workflow.node(endless, stage):
            steps.append(event.data["value"])
            if len(steps) == 3:
                times["cancelled"] = time.monotonic()
                client.interrupt()

    started = time.monotonic()
    with pytest.raises(Interrupted):
        client.run(endless, on_event)
    # The third report came after at least three steps; ending took no longer than a few of them and never all 9999.
    a_step = (times["cancelled"] - started) / 3
    assert time.monotonic() - times["cancelled"] < max(5.0, 3 * a_step)
    assert max(steps) < 9999
    # Force both stages to run again on the same server: same bytes as before the cancel.
    workflow.inputs(graph, stage).update(seed=103)
    client.run(graph)
    workflow.inputs(graph, stage).update(seed=101)
    assert picture(client, graph, client.run(graph)) == expected


def test_the_node_shows_its_steps_and_the_picture_so_far(client, graph):
    workflow.inputs(graph, B).update(steps=5, samples=2, seed=77)
    events = []
    client.run(graph, events.append)
    node = workflow.node(graph, B)
    progress = [event.data for event in events if event.type == "progress" and event.data.get("node") == node]
    assert progress[-1]["value"] == progress[-1]["max"] == 5
    previews = [event.data["image"] for event in events if event.type == "preview"]
    assert previews
    assert Image.open(io.BytesIO(previews[-1])).width >= 16


def test_the_line_on_the_node_goes_on_without_previews(studio, monkeypatch):
    """A host shows none by default."""
    progress, step = studio.module("nodes.host.progress"), studio.module("imagic.training").Step
    lines, now = [], [0.0]
    monkeypatch.setattr(progress, "text_sender", lambda node_id: lines.append)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(progress.latent_preview, "get_previewer", lambda *_: None)
    with progress.Progress(studio.model, "A", 10, "1") as shown:
        for number in range(1, 11):
            now[0] += 0.6
            shown(step(number, 10, 0.5, studio.latent["samples"]))
    assert [line.partition(",")[0] for line in lines] == [f"step {number} of 10" for number in (1, 3, 5, 7, 9, 10)]


def picture(client, graph, run) -> bytes:
    """The pixels of the reconstruction, without the file's metadata."""
    (image,) = run.outputs[workflow.node(graph, "Row of eta")]["images"]
    return Image.open(io.BytesIO(client.view(image))).tobytes()


@pytest.mark.parametrize("asking", ["region", "ranking"])
def test_cancel_ends_what_asks_the_model_within_an_evaluation(studio, monkeypatch, asking):
    management = importlib.import_module("comfy.model_management")
    # Newer hosts also ask deeper inside, which this must not depend on.
    evaluations, apply_model = 0, studio.model.model.apply_model

    def evaluate(*args, **kwargs):
        nonlocal evaluations
        evaluations += 1
        if evaluations == 3:
            management.interrupt_current_processing()
        return apply_model(*args, **kwargs)

    monkeypatch.setattr(studio.model.model, "apply_model", evaluate)
    picture, texts = studio.decode(studio.latent), (studio.negative, studio.target)
    pick = {"model": [studio.model], "vae": [studio.vae], "source": [picture], "images": [picture], "eta": [1.0]}
    pick |= {"optimized": [studio.negative], "target": [studio.target], "samples": [256]}
    ask = {
        "region": lambda: studio.nodes["ImagicEditRegion"]().find(studio.model, studio.latent, *texts, 0.4),
        "ranking": lambda: studio.nodes["ImagicPickEdit"]().pick(**pick),
    }[asking]
    try:
        with torch.inference_mode(), pytest.raises(management.InterruptProcessingException):
            ask()
    finally:
        management.interrupt_current_processing(False)
    assert evaluations == 3
