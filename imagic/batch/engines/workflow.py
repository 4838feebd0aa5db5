"""A ComfyUI workflow in API format, and which of its inputs a row of the manifest replaces."""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ...checks import shown
from ..manifest import COLUMNS, Row

PICTURES = "photo", "mask"  # columns that name files
LOADERS = "LoadImage", "LoadImageMask"  # nodes that read from the folder "temp" as well
PREFIX = "filename_prefix"
PARTS = {"class_type": str, "inputs": dict, "_meta": dict | None}  # of a node


class NotAWorkflow(ValueError):
    """A workflow or a rule that cannot be used."""


@dataclass(frozen=True)
class Rule:
    """A column of the manifest, and the input that takes what it says."""

    column: str
    node: str  # its key in the graph
    input: str


class Workflow:
    """A graph that is filled in for each row.

    Args:
        path: JSON, saved by ComfyUI's "Export (API)".
        rules: "column=node.input"; the node by its number or its title.
        output: the node whose pictures are wanted; may be left out where only one saves pictures.

    Raises:
        NotAWorkflow: one of them cannot be used; the sentence says what to change.
    """

    def __init__(self, path: Path, rules: Sequence[str], output: str = ""):
        self.name = path.name
        self.graph = _read(path)
        self.rules = [self._rule(text) for text in rules]
        if not any(rule.column == "photo" for rule in self.rules):
            self.rules += self._photo()
        if not any(rule.column == "sentence" for rule in self.rules):
            raise NotAWorkflow("No rule says where the sentence goes: add --set sentence=NODE.text.")
        self.output = self._node(output) if output else self._only_output()

    @property
    def more(self) -> frozenset[str]:
        """Columns of the manifest that are the user's own."""
        return frozenset(rule.column for rule in self.rules) - frozenset(COLUMNS)

    @property
    def digest(self) -> str:
        """Stands for all that decides the pictures beside the manifest."""
        rules = sorted((rule.column, rule.node, rule.input) for rule in self.rules)
        content = json.dumps([self.graph, rules, self.output], sort_keys=True)
        return blake2b(content.encode(), digest_size=6).hexdigest()

    def files(self, row: Row) -> dict[str, str]:
        """Columns of a row that name pictures which the graph asks for, with their paths."""
        asked = {rule.column for rule in self.rules}
        return {column: path for column in PICTURES if column in asked and (path := getattr(row, column))}

    def place(self, column: str) -> str:
        """The server's folder for a column's pictures: the one that it empties itself, where the node reads it."""
        nodes = [self.graph[rule.node]["class_type"] for rule in self.rules if rule.column == column]
        return "temp" if all(node in LOADERS for node in nodes) else "input"

    def filled(self, row: Row, names: Mapping[str, str]) -> dict[str, Any]:
        """The graph of a row.

        Args:
            names: of its pictures on the server, by column.

        Raises:
            ValueError: a column says what its input cannot take, or nothing where the workflow needs a picture.
        """
        graph = copy.deepcopy(self.graph)
        for rule in self.rules:
            inputs = graph[rule.node]["inputs"]
            if rule.column in PICTURES:
                if rule.column not in names:
                    raise ValueError(f"{rule.column} is empty: the workflow needs one for {rule.node}.{rule.input}.")
                inputs[rule.input] = names[rule.column]
            else:
                value = row.more.get(rule.column, "") if rule.column in self.more else getattr(row, rule.column)
                inputs[rule.input] = _like(rule.column, value, inputs[rule.input])
        inputs = graph[self.output]["inputs"]
        if PREFIX in inputs:  # another one for each row, or a server would not save again what it has saved before
            inputs[PREFIX] = f"imagic-batch/{row.key}"
        return graph

    def _rule(self, text: str) -> Rule:
        column, equals, place = text.partition("=")
        node, dot, name = place.rpartition(".")
        if not (column and equals and node and dot and name):
            raise NotAWorkflow(f"--set is {text!r}: write column=node.input, sentence=6.text for instance.")
        key = self._node(node)
        inputs = self.graph[key]["inputs"]
        if name not in inputs:
            raise NotAWorkflow(f"Node {node} of {self.name} has no input {shown(name)}: it has {', '.join(inputs)}.")
        if isinstance(inputs[name], list):
            raise NotAWorkflow(f"{node}.{name} of {self.name} comes from another node: take the input of that one.")
        return Rule(column.strip().lower(), key, name)

    def _node(self, name: str) -> str:
        """A node by its key or title."""
        if name in self.graph:
            return name
        found = [key for key, node in self.graph.items() if (node.get("_meta") or {}).get("title") == name]
        if len(found) != 1:
            count = "no node" if not found else f"{len(found)} nodes"
            raise NotAWorkflow(f"{self.name} has {count} of the name {shown(name)}: take a node's number.")
        return found[0]

    def _photo(self) -> list[Rule]:
        loaders = [key for key, node in self.graph.items() if node["class_type"] == "LoadImage"]
        if len(loaders) != 1:
            raise NotAWorkflow(f"{self.name} has {len(loaders)} Load Image nodes: add --set photo=NODE.image.")
        return [Rule("photo", loaders[0], "image")]

    def _only_output(self) -> str:
        outputs = [key for key, node in self.graph.items() if node["class_type"] == "SaveImage"]
        if len(outputs) != 1:
            raise NotAWorkflow(f"{self.name} has {len(outputs)} Save Image nodes: add --output-node NODE.")
        return outputs[0]


def _read(path: Path) -> dict[str, Any]:
    try:
        graph = json.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows may put a mark before it
    except OSError as error:
        raise NotAWorkflow(f"{path} cannot be read ({error.strerror}): correct its path.") from None
    except (ValueError, RecursionError):
        raise NotAWorkflow(f"{path.name} is no JSON: export it from ComfyUI again.") from None
    export = 'use "Export (API)" in ComfyUI\'s menu'
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise NotAWorkflow(f"{path.name} is a workflow as ComfyUI's page keeps it, not in API format: {export}.")
    if not isinstance(graph, dict) or not graph or not all(isinstance(node, dict) for node in graph.values()):
        raise NotAWorkflow(f"{path.name} is no workflow in API format: {export}.")
    for key, node in graph.items():
        for part, kind in PARTS.items():
            if not isinstance(node.get(part), kind):
                raise NotAWorkflow(f"Node {shown(key)} of {path.name} has no {part} as in API format: {export}.")
    return graph


def _like(column: str, value: Any, old: Any) -> Any:
    """A value in the type of the one that it replaces."""
    try:
        if isinstance(old, bool):
            return {"true": True, "false": False}[str(value).strip().lower()]
        if isinstance(old, int | float):
            return _number(value)
        return str(value) if isinstance(old, str) else value
    except (ValueError, KeyError):
        kind = "true or false" if isinstance(old, bool) else "a number"
        raise ValueError(f"{column} is {shown(value)}: the workflow takes {kind} there.") from None


def _number(value: Any) -> int | float:
    """Whole or not as it is written, for ComfyUI's page writes 1.0 as 1. Raises ValueError if it is none."""
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return int(value)
    if not math.isfinite(number := float(value)):
        raise ValueError("It is not finite.")
    return number
