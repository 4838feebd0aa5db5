"""What the client makes of a host's answers and messages."""

import struct

import pytest

from scripts.client import Client, ClientError, Interrupted, NodeError, Rejected

GRAPH = {"7": {"class_type": "ImagicFineTuneUNet", "inputs": {}}}
END = ("executing", {"node": None})
FAILURE = {
    "node_id": "7",
    "node_type": "ImagicFineTuneUNet",
    "exception_message": "The latent is empty.\n",
    "traceback": ["line one\n", "line two\n"],
}


@pytest.fixture
def run(fake_host):
    """Run the graph on a host that sends these messages."""

    def run(*messages, **options):
        with fake_host(messages, **options) as host, Client(host.address) as client:
            return client.run(GRAPH, timeout=5)

    return run


def test_a_run_ends_with_the_hosts_own_end_and_has_its_outputs(run):
    result = run(("executing", {"node": "7"}), END, ("progress", {"value": 1}), outputs={"7": {"imagic": [1]}})
    assert result.outputs == {"7": {"imagic": [1]}}
    assert result.events[-1].data["node"] is None


def test_only_nodes_that_ran_are_counted(run):
    result = run(
        ("execution_cached", {"nodes": ["3"]}), ("executing", {"node": "7"}), ("executing", {"node": "9"}), END
    )
    assert result.ran == ["7", "9"]


def test_messages_about_other_prompts_are_left_out(run):
    result = run(("executing", {"node": None, "prompt_id": "another"}), ("executing", {"node": "7"}), END)
    assert result.ran == ["7"]


def test_events_are_told_as_they_come(fake_host):
    heard = []
    with fake_host([("progress", {"value": 3}), END]) as host, Client(host.address) as client:
        client.run(GRAPH, heard.append, timeout=5)
    assert [event.type for event in heard] == ["progress", "executing"]


def test_previews_come_as_pictures_and_unknown_binary_messages_not_at_all(run):
    result = run(struct.pack(">II", 1, 1) + b"picture", struct.pack(">II", 3, 0) + b"text", END)
    assert [event.data for event in result.events if event.type == "preview"] == [
        {"format": "jpeg", "image": b"picture"}
    ]


def test_a_failing_node_speaks_for_itself(run):
    with pytest.raises(NodeError) as caught:
        run(("executing", {"node": "7"}), ("execution_error", FAILURE), END)
    assert str(caught.value) == "The latent is empty."
    assert (caught.value.node_id, caught.value.node_type) == ("7", "ImagicFineTuneUNet")
    assert caught.value.traceback == "line one\nline two\n"
    assert [event.type for event in caught.value.events] == ["executing", "execution_error", "executing"]


def test_cancelling_is_told_apart_from_failing(run):
    with pytest.raises(Interrupted, match="ImagicFineTuneUNet"):
        run(("execution_interrupted", {"node_id": "7", "node_type": "ImagicFineTuneUNet"}), END)


def test_a_refused_graph_names_each_node_and_reason(run):
    problem = {"type": "value_bigger_than_max", "message": "Value 9 bigger than max", "details": "steps"}
    rejection = {
        "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt failed", "details": ""},
        "node_errors": {"7": {"errors": [problem], "class_type": "ImagicFineTuneUNet"}},
    }
    with pytest.raises(Rejected, match=r"ImagicFineTuneUNet \(7\): Value 9 bigger than max: steps"):
        run(rejection=rejection)


def test_a_graph_refused_as_a_whole_gives_the_hosts_reason(run):
    with pytest.raises(Rejected, match="Prompt has no outputs"):
        run(rejection={"error": {"message": "Prompt has no outputs", "details": ""}, "node_errors": {}})


def test_a_host_that_dies_is_an_error_at_once(run):
    with pytest.raises(ClientError, match="closed the connection"):
        run(("executing", {"node": "7"}), None)


def test_a_run_that_takes_too_long_is_an_error(fake_host):
    with (
        fake_host([("executing", {"node": "7"})]) as host,
        Client(host.address) as client,
        pytest.raises(ClientError, match="longer than allowed"),
    ):
        client.run(GRAPH, timeout=0.3)


def test_pictures_go_up_and_come_down(tmp_path, fake_host):
    (tmp_path / "photo.png").write_bytes(b"pixels")
    with fake_host([]) as host, Client(host.address) as client:
        assert client.upload_image(tmp_path / "photo.png") == "photo.png"
        assert host.uploads == {"photo.png": b"pixels"}
        assert client.view({"filename": "edit.png"}) == b"the bytes of edit.png"


def test_cancel_reaches_the_host(fake_host):
    with fake_host([]) as host, Client(host.address) as client:
        client.interrupt()
        assert host.interrupted


def test_a_refusal_outside_of_graphs_is_an_error(fake_host):
    with fake_host([]) as host, Client(host.address) as client, pytest.raises(ClientError, match="404"):
        client.object_info()
