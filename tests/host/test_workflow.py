"""The example workflows that people open and the graphs that tests and demo run are one, and every host knows them."""

import copy
import json

import pytest

from scripts import workflow
from scripts.templates import geometry
from scripts.templates.recipe import follow

FRONTEND_ONLY = {"Note", "Reroute"}
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
AFTER_A_SEED = {"fixed", "increment", "decrement", "randomize"}  # the frontend's widget, which no graph has
FILES = (".safetensors", ".png")  # chosen from what lies in the host's folders
NAMES = sorted(path.stem for path in workflow.FOLDER.glob("*.json"))
# Eleven outputs that feed up to eight nodes each cannot be drawn without a crossing: model, photo, A, B and Keep Photo
# with the sampler are joined each with each, which makes the graph not planar. These are what good lanes come to.
CROSSINGS = {
    "imagic_demo": 18,
    "imagic_flux": 45,
    "imagic_keep_with_mask": 31,
    "imagic_photo_sd15_sdxl": 45,
    "imagic_pick_eta": 50,
    "imagic_tune_once_edit_many": 111,
}


@pytest.fixture(scope="module", params=NAMES)
def name(request, server, info):
    if request.param == "imagic_flux" and "FluxGuidance" not in info:
        assert server.host.version == "2024-03"
        pytest.skip("ComfyUI of March 2024 is older than Flux")
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
        values = list(node.get("widgets_values", []))
        for name, kind in inputs_of(info, node["type"]).items():
            if name in inputs or not (isinstance(kind, list) or kind in WIDGETS):
                continue
            if not values:  # saved before the node had this widget, which then is at its default
                continue
            inputs[name] = values.pop(0)
            # Not where another widget follows ours, since newer pages have none for our seeds.
            if name == "seed" and (node["type"] != "ImagicOptimizeEmbedding" or values[0] in AFTER_A_SEED):
                assert values.pop(0) in AFTER_A_SEED
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
            if isinstance(known[name], list) and not str(value).endswith(FILES):
                assert value in known[name]


def test_every_link_joins_the_slots_that_it_says(opened):
    nodes = {node["id"]: node for node in opened["nodes"]}
    for link, source, source_slot, target, target_slot, kind in opened["links"]:
        output, given = nodes[source]["outputs"][source_slot], nodes[target]["inputs"][target_slot]
        assert link in output["links"]
        assert link == given["link"]
        assert output["type"] == kind
        assert given["type"] in (kind, "*")


def test_the_others_follow_the_demo(graph, name):
    assert follow(name, copy.deepcopy(graph)) == graph


def test_no_link_runs_behind_a_node(opened):
    assert geometry.behind(opened) == []


def test_links_cross_no_more_than_they_must(opened, name):
    assert len(geometry.crossings(opened)) <= CROSSINGS[name]


def test_nothing_overlaps(opened):
    """Nodes lie side by side, titles included."""
    nodes = [(node["id"], geometry.box(node)) for node in opened["nodes"]]
    for number, (name, (left, top, right, bottom)) in enumerate(nodes):
        for other, (left2, top2, right2, bottom2) in nodes[:number]:
            assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top, f"{name} lies on {other}"
