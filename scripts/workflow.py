"""The graphs that scripts and tests run, in the format that ComfyUI's API takes."""

from __future__ import annotations

import json

from scripts import hosts
from scripts.client import Graph

FOLDER = hosts.ROOT / "example_workflows"
BLUEPRINTS = hosts.ROOT / "subgraphs"
PHOTO = FOLDER / "imagic_demo_photo.png"
HELP_PICTURES = hosts.ROOT / "web" / "docs" / "pictures"
MASKED_PHOTO = FOLDER / "imagic_demo_photo_masked.png"
TITLES = sorted(path.stem for path in FOLDER.glob("*.json"))
FLAT = "Every wire, several strengths"

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
FOR_PEOPLE = {"Note", "MarkdownNote"}
AFTER_A_SEED = {"fixed", "increment", "decrement", "randomize"}  # the page's widget, which no graph has
TAKEN = -10  # where links inside a node made of nodes come from, if from the outside


def load() -> Graph:
    """The demo's graph. Its values are the good ones, which templates follow."""
    return json.loads((hosts.ROOT / "scripts" / "demo_graph.json").read_text(encoding="utf-8"))


def template(title: str) -> dict:
    """What the graph editor opens."""
    return json.loads((FOLDER / f"{title}.json").read_text(encoding="utf-8"))


def node(graph: Graph, title: str) -> str:
    """The id of the node with this title."""
    return next(name for name, content in graph.items() if content["_meta"]["title"] == title)


def inputs(graph: Graph, title: str) -> dict:
    """The inputs of the node with this title, to read or to change."""
    return graph[node(graph, title)]["inputs"]


def queued(opened: dict, info: dict) -> Graph:
    """What the page queues for a workflow that it opened. Nodes inside nodes have ids such as 2:17.

    Args:
        info: what the host tells of its nodes (object_info).
    """
    inside = {each["id"]: each for each in opened.get("definitions", {}).get("subgraphs", [])}
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    root = {**opened, "links": [dict(zip(keys, link, strict=True)) for link in opened["links"]]}
    return _Level(root, "", {}, inside, info).graph()


class _Level:
    """The nodes of a page, or those inside a node made of nodes."""

    def __init__(self, page: dict, prefix: str, given: dict, inside: dict, info: dict):
        """
        Args:
            given: what comes from the outside, by the number of the input: a value, or a link of the API's format.
        """
        self.prefix, self.given, self.inside, self.info = prefix, given, inside, info
        self.nodes = {node["id"]: node for node in page["nodes"] if node["type"] not in FOR_PEOPLE}
        self.links = {link["id"]: link for link in page["links"]}
        self.outputs = {link["target_slot"]: link for link in page["links"] if link["target_id"] == -20}
        self.levels: dict[int, _Level] = {}
        for number, node in self.nodes.items():  # each after those that it takes from
            if node["type"] in inside:
                page = inside[node["type"]]
                self.levels[number] = _Level(page, f"{prefix}{number}:", self._given(node), inside, info)

    def graph(self) -> Graph:
        graph: Graph = {}
        for number, node in self.nodes.items():
            if number in self.levels:
                graph |= self.levels[number].graph()
                continue
            graph[f"{self.prefix}{number}"] = {
                "class_type": node["type"],
                "inputs": self._widgets(node) | self._linked(node),
                "_meta": {"title": node["title"]},
            }
        return graph

    def source(self, link: dict):
        """What comes over a link: a link of the API's format, or the value of a widget on the outside."""
        if link["origin_id"] == TAKEN:
            return self.given.get(link["origin_slot"])
        if link["origin_id"] in self.levels:
            level = self.levels[link["origin_id"]]
            return level.source(level.outputs[link["origin_slot"]])
        return [f"{self.prefix}{link['origin_id']}", link["origin_slot"]]

    def _given(self, node: dict) -> dict:
        values = iter(node["widgets_values"])
        given = {place: next(values) for place, slot in enumerate(node["inputs"]) if "widget" in slot}
        linked = self._linked(node)
        return given | {
            place: linked[slot["name"]] for place, slot in enumerate(node["inputs"]) if slot["name"] in linked
        }

    def _linked(self, node: dict) -> dict:
        sources = {
            slot["name"]: self.source(self.links[slot["link"]]) for slot in node["inputs"] if slot["link"] is not None
        }
        return {name: source for name, source in sources.items() if source is not None}

    def _widgets(self, node: dict) -> dict:
        values, found = list(node["widgets_values"]), {}
        declared = self.info[node["type"]]["input"]
        for name, spec in {**declared.get("required", {}), **declared.get("optional", {})}.items():
            options = spec[1] if len(spec) > 1 else {}
            if spec[0] == "IMAGECOMPARE":
                found[name] = {"__value__": ["", ""]}  # what it shows, which the page fills in
            if (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options.get("forceInput"):
                found[name] = values.pop(0) if values else options.get("default")
                if name == "seed" and values and values[0] in AFTER_A_SEED:
                    values.pop(0)
        return found
