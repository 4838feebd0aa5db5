"""The example workflows that people open and the graphs that tests and demo run are one, and every host knows them."""

import json

import pytest

from scripts import workflow

FRONTEND_ONLY = {"Note", "Reroute"}
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
AFTER_A_SEED = {"fixed", "increment", "decrement", "randomize"}  # the frontend's widget, which no graph has
FILES = {"LoadImage", "CheckpointLoaderSimple"}  # their choices are what lies in the host's folders
NAMES = sorted(path.stem for path in workflow.FOLDER.glob("*.json"))


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def opened(name):
    return json.loads((workflow.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def graph(name):
    return workflow.load(name)


@pytest.fixture(scope="module")
def info(server):
    from scripts.client import Client

    with Client(server.address) as client:
        return client.object_info()


def inputs_of(info, kind):
    """A node's inputs on this host, in the order of its widgets: name -> type, where a choice's type is a list."""
    declared = info[kind]["input"]

    def kind_of(spec):
        return "a socket only" if len(spec) > 1 and spec[1].get("forceInput") else spec[0]

    return {name: kind_of(spec) for part in ("required", "optional") for name, spec in declared.get(part, {}).items()}


def api_format(opened, info):
    """What the frontend would queue for a workflow in the format it saves."""
    nodes = {node["id"]: node for node in opened["nodes"]}
    links = {link[0]: link for link in opened["links"]}

    def source(link):
        _, node, slot, *_ = links[link]
        if nodes[node]["type"] == "Reroute":
            return source(nodes[node]["inputs"][0]["link"])
        return [str(node), slot]

    graph = {}
    for node in nodes.values():
        if node["type"] in FRONTEND_ONLY:
            continue
        inputs = {slot["name"]: source(slot["link"]) for slot in node["inputs"] if slot["link"] is not None}
        values = iter(node.get("widgets_values", []))
        for name, kind in inputs_of(info, node["type"]).items():
            if name in inputs or not (isinstance(kind, list) or kind in WIDGETS):
                continue
            inputs[name] = next(values)
            if name == "seed":
                assert next(values) in AFTER_A_SEED
        graph[str(node["id"])] = {"class_type": node["type"], "inputs": inputs, "_meta": {"title": node["title"]}}
    return graph


def test_the_workflow_and_the_graph_are_one(opened, graph, info):
    assert api_format(opened, info) == graph


def test_each_has_a_thumbnail(name):
    assert (workflow.FOLDER / f"{name}.jpg").read_bytes().startswith(b"\xff\xd8")


def test_the_host_knows_every_node_and_input(graph, info):
    for node in graph.values():
        kind, given = node["class_type"], node["inputs"]
        known = inputs_of(info, kind)
        assert set(given) <= set(known), f"{kind} has no input {set(given) - set(known)}"
        missing = set(info[kind]["input"].get("required", {})) - set(given)
        assert not missing, f"{kind} needs {missing}"
        for name, value in given.items():
            if isinstance(known[name], list) and kind not in FILES:
                assert value in known[name]


def test_every_link_joins_the_slots_that_it_says(opened):
    nodes = {node["id"]: node for node in opened["nodes"]}
    for link, source, source_slot, target, target_slot, kind in opened["links"]:
        output, given = nodes[source]["outputs"][source_slot], nodes[target]["inputs"][target_slot]
        assert link in output["links"]
        assert link == given["link"]
        assert output["type"] == kind
        assert given["type"] in (kind, "*")


def test_nothing_overlaps(opened):
    """Nodes lie side by side, titles included."""

    def box(node):
        (x, y), (width, height) = node["pos"], node["size"]
        title = 0 if node["type"] == "Reroute" else 30
        return x, y - title, x + width, y + height

    nodes = [(node["id"], box(node)) for node in opened["nodes"]]
    for number, (name, (left, top, right, bottom)) in enumerate(nodes):
        for other, (left2, top2, right2, bottom2) in nodes[:number]:
            assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top, f"{name} lies on {other}"
