"""What the demo tells and draws."""

import numpy as np
import pytest
from PIL import Image

from scripts import workflow
from scripts.client import Event
from scripts.progress import Progress

GRAPH = {"1": {"_meta": {"title": "Tune"}, "inputs": {"steps": 9}}, "2": {"_meta": {"title": "Save"}, "inputs": {}}}


def executing(node, at):
    return Event("executing", {"node": node}, at)


def test_seconds_are_kept_for_each_node(capsys):
    progress = Progress(GRAPH)
    for event in (
        executing("1", 10),
        Event("progress", {"value": 9, "max": 9}, 12),
        executing("2", 14),
        executing(None, 15),
    ):
        progress(event)
    assert progress.seconds == {"1": 4, "2": 1}
    assert "Tune" in capsys.readouterr().out


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end(capsys):
    progress = Progress(GRAPH)
    progress(executing("1", 0))
    for step in range(1, 101):
        progress(Event("progress", {"value": step, "max": 100}, step))
    progress(executing(None, 101))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "100/100" in lines[-1]


def test_the_demo_takes_a_phones_photo_and_a_deep_one(tmp_path):
    from scripts.demo import square

    ramp = np.linspace(0, 255, 128).round().astype(np.uint8)
    upright = np.repeat(np.broadcast_to(ramp[:, None], (128, 128))[..., None], 3, -1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(upright).rotate(90).save(tmp_path / "phone.png", exif=exif)
    Image.fromarray(upright[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("phone.png", "deep.png"):
        assert np.abs(np.asarray(square(tmp_path / name)).astype(int) - upright).max() <= 1


def test_nodes_are_found_by_their_titles():
    assert workflow.node(GRAPH, "Save") == "2"
    assert workflow.inputs(GRAPH, "Tune") == {"steps": 9}
    with pytest.raises(StopIteration):
        workflow.node(GRAPH, "nothing of that name")


def test_the_demos_graph_has_all_that_the_demo_asks_for():
    from scripts import demo

    graph = workflow.load()
    titles = (*demo.STAGES.values(), "Photo", "Target text", "Row of eta", "Autoencoder alone")
    assert all(workflow.node(graph, title) for title in titles)
    interpolation = workflow.inputs(graph, "C: from the photo to the target")
    assert {0.0, interpolation["eta"]} <= {float(eta) for eta in interpolation["sweep"].split(",")}
