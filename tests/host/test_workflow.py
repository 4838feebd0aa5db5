"""The templates and the nodes made of nodes: what their files hold, and that every host knows it."""

import itertools
import json

import pytest

from scripts import workflow
from scripts.client import Client
from scripts.templates.files import files

FILES = (".safetensors", ".png")  # chosen from what lies in the host's folders
TITLE = 30  # height, in the editor's pixels
MOST_NODES = 8
BLUEPRINTS = sorted(path.stem for path in workflow.BLUEPRINTS.glob("*.json"))


@pytest.fixture(scope="module")
def info(server):
    with Client(server.address) as client:
        return client.object_info()


@pytest.fixture(params=workflow.TITLES)
def opened(request):
    return workflow.template(request.param)


def blueprint(name: str) -> dict:
    return json.loads((workflow.BLUEPRINTS / f"{name}.json").read_text(encoding="utf-8"))


def pages(opened: dict) -> list[tuple[list[dict], list[list]]]:
    """Nodes and links of a page, and of what is inside its nodes."""
    inside = opened.get("definitions", {}).get("subgraphs", [])
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return [
        (opened["nodes"], opened["links"]),
        *((each["nodes"], [[link[key] for key in keys] for link in each["links"]]) for each in inside),
    ]


def test_the_files_are_what_the_pages_say(info, server):
    """After a change to a node, to the demo's graph or to a page: python -m scripts.templates."""
    if "ComfySwitchNode" not in info:
        assert server.host.version in ("0.3.64", "2024-03")
        return
    expected = files(info)
    assert {path.name for path in expected} == {f"{name}.json" for name in (*workflow.TITLES, *BLUEPRINTS)}
    for path, content in expected.items():
        assert path.read_text(encoding="utf-8") == content, path.name


@pytest.mark.parametrize("title", workflow.TITLES)
def test_the_host_knows_every_node_and_input(info, server, title):
    opened = workflow.template(title)
    inside = {each["id"] for each in opened.get("definitions", {}).get("subgraphs", [])}
    kinds = {node["type"] for nodes, _ in pages(opened) for node in nodes} - inside - workflow.FOR_PEOPLE
    if unknown := kinds - set(info):
        # Those hosts have one template, with every wire.
        assert server.host.version in ("0.3.64", "2024-03"), unknown
        assert title != workflow.FLAT, unknown
        return
    for node in workflow.queued(opened, info).values():
        declared = info[node["class_type"]]["input"]
        known = {**declared.get("required", {}), **declared.get("optional", {})}
        assert set(node["inputs"]) <= set(known)
        assert set(declared.get("required", {})) <= set(node["inputs"]), node["_meta"]["title"]
        for name, value in node["inputs"].items():
            if isinstance(known[name][0], list) and not str(value).endswith(FILES):
                assert value in known[name][0]


def test_every_link_joins_the_slots_that_it_says(opened):
    for nodes, links in pages(opened):
        by_id = {node["id"]: node for node in nodes}
        for link, source, source_slot, target, target_slot, kind in links:
            if source in by_id:
                output = by_id[source]["outputs"][source_slot]
                assert link in output["links"]
                assert output["type"] in (kind, "*")
            if target in by_id:
                given = by_id[target]["inputs"][target_slot]
                assert link == given["link"]
                assert given["type"] in (kind, "*", "COMBO")


def test_ids_are_unique_over_all_that_is_inside(opened):
    """Or the page renumbers them, and an app loses its inputs."""
    ids = [node["id"] for nodes, _ in pages(opened) for node in nodes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("title", workflow.TITLES)
def test_a_person_can_read_it(experience, title):
    opened = workflow.template(title)
    kinds = [node["type"] for node in opened["nodes"]]
    found = experience.setdefault("templates", {}).setdefault(title, {})
    found |= {"nodes_outside": len(kinds), "reroutes": kinds.count("Reroute")}
    assert "Reroute" not in kinds
    assert len(kinds) <= MOST_NODES or title == workflow.FLAT
    assert workflow.FOR_PEOPLE & set(kinds)
    assert (workflow.FOLDER / f"{title}.jpg").read_bytes().startswith(b"\xff\xd8")


def test_whoever_has_not_the_model_gets_its_address(opened):
    """By the page, which offers the download, and in the note."""
    (note,) = [node["widgets_values"][0] for node in opened["nodes"] if node["type"] in workflow.FOR_PEOPLE]
    for nodes, _ in pages(opened):
        for node in nodes:
            if "Loader" not in node["type"]:
                continue
            files = [value for value in node["widgets_values"] if str(value).endswith(".safetensors")]
            models = {model["name"]: model for model in node["properties"]["models"]}
            assert set(files) == set(models)
            for model in models.values():
                assert model["url"].startswith("https://")
                assert f"]({model['url']}) → `ComfyUI/models/{model['directory']}/`" in note


def test_the_edit_is_saved_and_compared(opened):
    """In pixels of the photo's size."""
    kinds = {node["id"]: node["type"] for node in opened["nodes"]}
    (saving,) = (node for node in opened["nodes"] if node["title"] == "The edit")
    (edit,) = (link[1:3] for link in opened["links"] if link[0] == saving["inputs"][0]["link"])
    fed = {kinds[target] for _, *output, target, _, _ in opened["links"] if output == edit}
    assert "SaveImage" in fed
    assert fed & {"ImageCompare", "ImagicEditSheet"}


def test_nothing_overlaps(opened):
    """Nodes lie side by side, titles included."""
    for nodes, _ in pages(opened):
        boxes = [(*node["pos"], *node["size"], node["title"]) for node in nodes]
        for (x, y, width, height, one), (x2, y2, width2, height2, other) in itertools.combinations(boxes, 2):
            beside = x + width <= x2 or x2 + width2 <= x
            assert beside or y + height <= y2 - TITLE or y2 + height2 <= y - TITLE, f"{one} lies on {other}"


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_a_blueprint_is_one_node(name):
    """Its id and its name are those of the node inside the templates."""
    opened = blueprint(name)
    (node,), (inside,) = opened["nodes"], opened["definitions"]["subgraphs"]
    assert node["type"] == inside["id"]
    assert node["title"] == inside["name"] == name
    assert "edit photo" in opened["extra"]["BlueprintSearchAliases"]
    assert inside["description"]


@pytest.mark.parametrize("title", [title for title in workflow.TITLES if title.endswith(".app")])
def test_an_app_shows_widgets_that_there_are(title):
    opened = workflow.template(title)
    nodes = {str(node["id"]): node for node in opened["nodes"]}
    data = opened["extra"]["linearData"]
    assert opened["extra"]["linearMode"] is True
    shown = [nodes[number]["type"] for number in data["outputs"]]
    assert shown == ["SaveImage"]
    slider = [number for number, widget, *_ in data["inputs"] if widget == "compare_view"]
    assert [nodes[number]["type"] for number in slider] == ["ImageCompare"]
    names = [widget for _, widget, *_ in data["inputs"]]
    assert names[:4] == ["image", "sentence", "strength", "keep"]
    assert "seed" in names
    for number, widget, *_ in data["inputs"]:
        slots = {slot["name"] for slot in nodes[number]["inputs"] if "widget" in slot}
        assert widget in slots
