"""The sheet of a sweep and the chart of a run, looked at pixel by pixel."""

import sys
import time

import pytest
import torch

from scripts import workflow

GREEN = torch.tensor([30, 150, 70]) / 255


@pytest.fixture
def sheet(pack):
    """Lays out as the host calls a node that takes lists."""

    def lay_out(images, **inputs):
        inputs = {"cell": [64], **inputs}
        return pack.NODE_CLASS_MAPPINGS["ImagicEditSheet"]().lay_out(images=images, **inputs)[0]

    return lay_out


def flat(*greys: float) -> torch.Tensor:
    """A batch of one-coloured pictures."""
    return torch.stack([torch.full((64, 64, 3), grey) for grey in greys])


def cells(image: torch.Tensor, columns: int, rows: int) -> list[list[float]]:
    """The value in the middle of each cell of a grid of 64 x 64 pictures."""
    _, height, width, _ = image.shape
    gap = 8
    line = (height - gap) // rows - 64 - gap
    assert width == gap + columns * (64 + gap)
    return [
        [round(float(image[0, gap + row * (line + 64 + gap) + line + 32, gap + column * 72 + 32, 0]), 2) for column in
         range(columns)]
        for row in range(rows)
    ]  # fmt: skip


def framed(image: torch.Tensor) -> list[int]:
    """Columns of pixels in which more than a frame's thickness of green stands: the two sides of a frame."""
    return ((image[0] - GREEN).abs().amax(-1) < 0.01).sum(0).gt(60).nonzero().flatten().tolist()


def test_source_then_a_column_for_each_eta_and_a_row_for_each_of_a_batch(sheet):
    image = sheet([flat(0.2, 0.4), flat(0.6, 0.8)], source=[flat(0.0)], eta=[0.0, 1.0])
    assert image.dtype == torch.float32
    assert cells(image, 3, 2) == [[0.0, 0.2, 0.6], [1.0, 0.4, 0.8]]


def test_the_winner_is_framed(sheet):
    images = [flat(0.2, 0.4), flat(0.6, 0.8)]
    assert not framed(sheet(images))
    # Number 3 is the first of the second batch, in the second column.
    sides = framed(sheet(images, winner=[3]))
    assert min(sides) == 80 - 4
    assert max(sides) == 80 + 64 + 3


def test_pictures_of_any_size_and_shape_become_cells(sheet):
    wide = torch.full((1, 100, 200, 3), 0.5)
    assert sheet([wide, wide]).shape[2] == 8 + 2 * 72
    grey, transparent = torch.full((1, 8, 8, 1), 0.2), torch.full((1, 8, 8, 4), 0.4)
    assert cells(sheet([grey, transparent]), 2, 1) == [[0.2, 0.4]]


def test_etas_that_belong_to_other_pictures_are_refused(sheet):
    with pytest.raises(ValueError, match=r"There are 1 pictures and 2 eta: connect .*\."):
        sheet([flat(0.2)], eta=[0.0, 1.0])
    with pytest.raises(ValueError, match="winner is 2: set it between 0 and 1"):
        sheet([flat(0.2)], winner=[2])
    with pytest.raises(ValueError, match="not an IMAGE"):
        sheet([torch.zeros(8, 8, 3)])


def test_a_sweep_in_a_graph_becomes_one_sheet(client):
    """Through the host's own lists: Interpolate, sampler and decoder run per eta, the sheet once."""
    graph = workflow.load()
    workflow.inputs(graph, "Photo")["image"] = client.upload_image(workflow.PHOTO)
    workflow.inputs(graph, "C: from the photo to the target").update(sweep="0, 0.5, 1")
    workflow.inputs(graph, "Sample each eta").update(steps=1)
    workflow.inputs(graph, "A: optimize the embedding").update(steps=1, samples=1)
    tune = workflow.node(graph, "B: tune the model")
    graph[tune]["inputs"].update(steps=1, samples=1)
    interpolated = workflow.node(graph, "C: from the photo to the target")
    decoded = workflow.node(graph, "Decode the row")
    photo = workflow.node(graph, "Photo")
    graph = graph | {
        "sheet": {
            "class_type": "ImagicEditSheet",
            "inputs": {"images": [decoded, 0], "source": [photo, 0], "eta": [interpolated, 1], "cell": 128},
            "_meta": {"title": "Sheet"},
        },
        "chart": {
            "class_type": "ImagicLossChart",
            "inputs": {"loss": [tune, 2], "title": "B"},
            "_meta": {"title": "Chart"},
        },
        "saved": {
            "class_type": "SaveImage",
            "inputs": {"images": ["sheet", 0], "filename_prefix": "sheet"},
            "_meta": {"title": "Save"},
        },
        "saved chart": {
            "class_type": "SaveImage",
            "inputs": {"images": ["chart", 0], "filename_prefix": "chart"},
            "_meta": {"title": "Save"},
        },
    }
    result = client.run(graph)
    assert len(result.outputs["saved"]["images"]) == 1
    assert client.view(result.outputs["saved"]["images"][0]).startswith(b"\x89PNG")
    assert len(result.outputs["saved chart"]["images"]) == 1


def test_a_chart_of_a_run(pack, studio):
    loss = studio.optimize(steps=20)["result"][1]
    assert loss["validation_steps"] == [0, 20]
    draw = pack.NODE_CLASS_MAPPINGS["ImagicLossChart"]().draw
    (image,) = draw(loss, "Stage A")
    assert image.shape == (1, 540, 960, 3)
    assert 0 <= image.min() < 0.3
    assert image.max() == 1
    assert torch.equal(draw(loss, "Stage A")[0], image)
    assert not torch.equal(draw({"loss": loss["loss"]}, "Stage A")[0], image)  # as Train LoRA gives it
    assert draw({"loss": [0.5]}, "$1^ is no formula")[0].shape == image.shape


def test_a_long_run_is_drawn_in_seconds(pack):
    """With as many validation losses as steps, as another trainer may have them."""
    draw = pack.NODE_CLASS_MAPPINGS["ImagicLossChart"]().draw
    losses = [0.1 + 0.01 * (step % 7) for step in range(100_000)]
    started = time.process_time()
    draw({"loss": losses, "validation": losses[:2000], "validation_steps": list(range(2000))}, "")
    assert time.process_time() - started < 10


def test_the_running_mean_is_that_of_the_last_steps(studio):
    means = studio.module("nodes.loss_chart")._running_mean([1.0, 2.0, 6.0, 1.0], 2)
    assert means.tolist() == [1.0, 1.5, 4.0, 3.5]


@pytest.mark.parametrize(
    "loss", [{"losses": [1.0]}, {"loss": [1.0], "validation": [1.0]}, {"loss": {"step": 1.0}}, [1.0]]
)
def test_a_foreign_loss_is_refused_in_a_sentence(pack, loss):
    with pytest.raises(ValueError, match="connect") as error:
        pack.NODE_CLASS_MAPPINGS["ImagicLossChart"]().draw(loss, "")
    assert str(error.value).endswith(".")


def test_charts_say_what_they_need(pack, monkeypatch):
    draw = pack.NODE_CLASS_MAPPINGS["ImagicLossChart"]().draw
    with pytest.raises(ValueError, match="The loss is empty"):
        draw({"loss": []}, "")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RuntimeError, match="Charts need matplotlib: install it"):
        draw({"loss": [1.0]}, "")
