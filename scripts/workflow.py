"""The example workflows' graphs, in the format that ComfyUI's API takes."""

from __future__ import annotations

import json

from scripts import hosts
from scripts.client import Graph

FOLDER = hosts.ROOT / "example_workflows"
PHOTO = FOLDER / "imagic_demo_photo.png"
HELP_PICTURES = hosts.ROOT / "web" / "docs" / "pictures"
MASKED_PHOTO = FOLDER / "imagic_demo_photo_masked.png"


def load(name: str = "imagic_demo") -> Graph:
    """A graph as it is in the repository; the demo's, if not told otherwise."""
    return json.loads((FOLDER / "api" / f"{name}.json").read_text(encoding="utf-8"))


def node(graph: Graph, title: str) -> str:
    """The id of the node with this title."""
    return next(name for name, content in graph.items() if content["_meta"]["title"] == title)


def inputs(graph: Graph, title: str) -> dict:
    """The inputs of the node with this title, to read or to change."""
    return graph[node(graph, title)]["inputs"]
