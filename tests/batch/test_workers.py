"""Which workers there are, and what one row that ends its worker costs the others."""

import pytest
import torch

from imagic.batch import method
from imagic.batch.editor import NoWorker, failed
from imagic.batch.engines import local, ray
from imagic.batch.manifest import Row
from imagic.batch.settings import Settings
from imagic.diffusers import load_pipeline

ROWS = [Row(number, "a.png", "a blue dog", output=f"{number}.png") for number in range(1, 8)]


@pytest.fixture
def gpus(monkeypatch):
    """Eight of them, as far as PyTorch tells."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_worker_for_each_gpu(gpus, monkeypatch, device):
    assert local.devices(device, None) == list("01234567")
    assert local.devices(device, 10) == [*"01234567", *"01"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert local.devices(device, None) == ["2", "5"]
    assert local.devices("cuda:1", 2) == local.devices("cpu", 2) == ["", ""]


def test_memory_is_that_of_the_models_own_gpu(monkeypatch):
    pipeline, asked = load_pipeline("demo", device="cpu"), []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: asked.append(device) or 3 << 20)
    method.forget_peak(pipeline)
    assert method.peak(pipeline) == 0
    assert asked == []
    second = torch.device("cuda:1")
    monkeypatch.setattr(type(pipeline), "_execution_device", second)
    method.forget_peak(pipeline)
    assert method.peak(pipeline) == 3
    assert asked == [second, second]


def test_one_row_that_ends_its_worker_costs_no_other():
    tried = []

    def attempt(units):
        tried.append([[row.number for row in unit] for unit in units])
        yield from (failed(row, "as if done") for unit in units if ROWS[2] not in unit for row in unit)

    found = list(ray.each_row([ROWS[:4], ROWS[4:]], attempt))
    assert tried == [[[1, 2, 3, 4], [5, 6, 7]], [[1], [2], [3], [4]]]
    assert {each.result.number: each.result.error for each in found} == {
        **{row.number: "as if done" for row in ROWS},
        3: "Its worker was lost 6 times: try it by itself.",
    }
    assert len(found) == len(ROWS)


def test_no_second_try_where_nothing_was_lost():
    tried = []
    list(ray.each_row([ROWS], lambda units: tried.append(units) or (failed(row, "") for unit in units for row in unit)))
    assert tried == [[ROWS]]


@pytest.mark.parametrize("address", ["auto", "nonsense"])
def test_a_cluster_that_is_not_there_is_a_sentence(tmp_path, monkeypatch, address):
    if address == "auto":  # on a machine where some other Ray may run
        import ray as real

        def init(**options):
            raise ConnectionError("Could not find any running Ray instance.")

        monkeypatch.setattr(real, "init", init)
    with pytest.raises(NoWorker, match=r"^Ray does not start: .*[^.]\. Correct --address, or leave it out"):
        list(ray.run(iter([]), Settings("demo"), tmp_path, tmp_path, ray.Cluster(address)))
