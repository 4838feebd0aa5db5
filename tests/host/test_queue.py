"""The three costs are three nodes: what the host's queue runs again, and what it does not."""

import copy

import pytest

from scripts import workflow

A, B = "A: optimize the embedding", "B: tune the model"


@pytest.fixture
def graph(client):
    """The demo's graph with short runs, its photo uploaded."""
    graph = workflow.load()
    workflow.inputs(graph, "Photo")["image"] = client.upload_image(workflow.PHOTO)
    workflow.inputs(graph, A).update(steps=2, samples=1)
    workflow.inputs(graph, B).update(steps=2, samples=1)
    workflow.inputs(graph, "C: from the photo to the target").update(sweep="0.5, 1")
    workflow.inputs(graph, "Sample each eta").update(steps=2)
    return graph


def stages(graph, run):
    """Which of the two costly stages a run executed."""
    return [title for title in (A, B) if workflow.node(graph, title) in run.ran]


def test_changing_eta_or_the_samplers_seed_trains_nothing(client, graph):
    client.run(graph)
    for title, change in {
        "C: from the photo to the target": {"sweep": "0.7"},
        "Sample each eta": {"seed": 5},
    }.items():
        changed = copy.deepcopy(graph)
        workflow.inputs(changed, title).update(change)
        run = client.run(changed)
        assert stages(graph, run) == []
        assert workflow.node(graph, "Row of eta") in run.ran


def test_with_a_source_caption_changing_the_target_trains_nothing(client, graph):
    anchor = "20"
    graph[anchor] = copy.deepcopy(graph[workflow.node(graph, "Target text")])
    graph[anchor]["inputs"]["text"] = "a cat sitting on the grass"
    graph[anchor]["_meta"]["title"] = "Source caption"
    workflow.inputs(graph, A)["conditioning"] = [anchor, 0]
    assert stages(graph, client.run(graph)) == [A, B]
    workflow.inputs(graph, "Target text")["text"] = "a dog sitting on the grass"
    run = client.run(graph)
    assert stages(graph, run) == []
    assert workflow.node(graph, "Row of eta") in run.ran


def test_changing_what_is_trained_trains_it_again(client, graph):
    client.run(graph)
    workflow.inputs(graph, B)["seed"] = 3
    assert stages(graph, client.run(graph)) == [B]
    workflow.inputs(graph, A)["seed"] = 3
    assert stages(graph, client.run(graph)) == [A, B]


def test_a_sweep_gives_one_picture_per_eta(client, graph):
    outputs = client.run(graph).outputs
    assert len(outputs[workflow.node(graph, "Row of eta")]["images"]) == 2
