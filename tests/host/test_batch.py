"""The ComfyUI engine on real servers: a user's workflow, and a server that is killed gives its rows back."""

import pytest

from scripts.server import Server
from tests.batch import world
from tests.batch.running import Batch, digests, done, rows, twice
from tests.host.conftest import HOST

ROWS = 16


@pytest.fixture
def manifest(tmp_path):
    return world.make(tmp_path / "photos", ROWS, 1 / 8, per_photo=2)


def test_a_pool_of_servers_one_of_which_is_killed(server, manifest, tmp_path, pytestconfig):
    graph = world.workflow(tmp_path / "workflow.json")
    rules = ("--engine", "comfyui", "--workflow", str(graph), *world.RULES)
    alone = Batch(manifest, tmp_path / "alone", *rules, "--servers", server.address)
    with Server(pytestconfig.stash[HOST], tmp_path / "other", cpu=True) as other:
        assert alone.finish() == 3, alone.log.read_text()
        addresses = f"{other.address},{server.address}"
        pool = Batch(manifest, tmp_path / "pool", *rules, "--servers", addresses)
        pool.wait_for(4)
        other._process.kill()
        assert pool.finish() == 3, pool.log.read_text()
    assert len(done(tmp_path / "pool")) == ROWS - 2
    assert twice(tmp_path / "pool") == 0
    assert digests(tmp_path / "pool") == digests(tmp_path / "alone")


def test_a_nodes_complaint_is_the_rows(server, manifest, tmp_path):
    graph = world.workflow(tmp_path / "workflow.json")
    graph.write_text(graph.read_text().replace('"ddim"', '"no such sampler"'))
    rules = ("--engine", "comfyui", "--workflow", str(graph), *world.RULES, "--servers", server.address)
    batch = Batch(manifest, tmp_path / "out", *rules)
    assert batch.finish() == 3
    errors = {row["error"].partition(":")[0] for row in rows(tmp_path / "out") if row["output"] == "0.png"}
    assert errors == {"KSampler (6)"}


def test_no_server_there(manifest, tmp_path):
    graph = world.workflow(tmp_path / "workflow.json")
    rules = ("--engine", "comfyui", "--workflow", str(graph), *world.RULES, "--servers", "http://127.0.0.1:9")
    batch = Batch(manifest, tmp_path / "out", *rules)
    assert batch.finish() == 1
    assert "No other server does: start one, or correct --servers." in batch.log.read_text()
