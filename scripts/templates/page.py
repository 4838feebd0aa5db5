"""A page of the graph editor, written down node by node: a workflow, or what is inside a node made of nodes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
NAMESPACE = uuid.UUID("752016f3-93f5-55ed-b343-72fde6583bbe")
TAKEN, GIVEN = -10, -20  # the ids that a subgraph's own inputs and outputs have inside of it
WIDTH, ROW, TITLE = 240, 24, 30  # of a node, a widget and a title, in the editor's pixels
Point = tuple[int, int]


class Output(NamedTuple):
    """An output of a node, to be given to an input of another."""

    node: int
    slot: int
    type: str


@dataclass
class Slot:
    """An input or an output of a subgraph. One with a widget shows it on the outside, with this value."""

    name: str
    type: str
    label: str = ""
    widget: bool = False
    value: Any = None
    links: list[int] = field(default_factory=list)

    def shown(self) -> dict:
        """What both sides have of it."""
        return {"name": self.name, "type": self.type, **({"label": self.label} if self.label else {})}


class Page:
    """Nodes, links, groups and notes in the making."""

    def __init__(self, info: dict, defaults: dict[str, dict] | None = None, first: int = 1):
        """
        Args:
            info: what the host tells of its nodes (object_info).
            defaults: by class, the values of widgets that are better than the nodes' own.
            first: the id of the first node. Ids are unique over a workflow and all that is inside its nodes.
        """
        self.info, self.defaults, self.next = info, defaults or {}, first
        self.nodes: list[dict] = []
        self.inside: list[Subgraph] = []
        self.links: list[list] = []
        self.groups: list[dict] = []

    def add(self, kind: str, title: str, at: Point, size: Point, /, **inputs: Any) -> tuple[Output, ...]:
        """A node; its outputs.

        Args:
            size: width and height; where the page needs more for the node, it takes more.
            inputs: an Output for a link, else a widget's value. Widgets that are not named have their defaults.
        """
        known = self.info[kind]
        declared = {**known["input"].get("required", {}), **known["input"].get("optional", {})}
        assert set(inputs) <= set(declared), f"{kind} has no {set(inputs) - set(declared)}"
        sockets, linked, values = [], [], []
        for name, spec in declared.items():
            options = _options(spec)
            given, type_ = inputs.get(name), _type(spec)
            widget = type_ in WIDGETS and not options.get("forceInput")
            optional = {"shape": 7} if name in known["input"].get("optional", {}) and not widget else {}
            if widget:
                values += self._values(kind, name, options, spec, None if isinstance(given, Output) else given)
            if not widget and type_ != "IMAGECOMPARE":
                sockets.append(({"name": name, "type": type_, "link": None, **optional}, given))
            elif isinstance(given, Output):
                linked.append(({"name": name, "type": type_, "widget": {"name": name}, "link": None}, given))
        outputs = [
            {"name": name, "type": _any(type_), "links": []}
            for name, type_ in zip(known["output_name"], known["output"], strict=True)
        ]
        core = {} if kind.startswith("Imagic") else {"cnr_id": "comfy-core"}
        properties = {"Node name for S&R": kind, **core}
        return self._place(kind, title, at, size, [*sockets, *linked], outputs, _short(values, declared), properties)

    def put(self, inside: Subgraph, at: Point, size: Point, /, title: str = "", **inputs: Any) -> tuple[Output, ...]:
        """A node made of nodes; its outputs."""
        assert set(inputs) <= {slot.name for slot in inside.taken}
        slots, values = [], []
        for slot in inside.taken:
            given = inputs.get(slot.name)
            entry = {
                "name": slot.name,
                "type": slot.type,
                "link": None,
                **({"label": slot.label} if slot.label else {}),
            }
            if slot.widget:
                entry["widget"] = {"name": slot.name}
                values.append(slot.value if given is None or isinstance(given, Output) else given)
            slots.append((entry, given))
        outputs = [{**slot.shown(), "links": []} for slot in inside.given]
        if inside not in self.inside:
            self.inside.append(inside)
        title = title or inside.name
        return self._place(inside.id, title, at, size, slots, outputs, values, {"cnr_id": "imagic"})

    def note(self, title: str, at: Point, size: Point, text: str, kind: str = "MarkdownNote") -> None:
        """Text for people."""
        self._place(kind, title, at, size, [], [], [text], {})
        self.nodes[-1] |= {"color": "#432", "bgcolor": "#653"}

    def models(self, *files: tuple[str, str, str]) -> None:
        """What the last node loads, so that the page offers the download: name, address, folder."""
        self.nodes[-1]["properties"]["models"] = [
            {"name": name, "url": url, "directory": directory} for name, url, directory in files
        ]

    def label(self, **labels: str) -> None:
        """Other names for widgets of the last node, as an app shows them."""
        node = self.nodes[-1]
        declared = self.info[node["type"]]["input"]["required"]
        node["inputs"] += [
            {"name": name, "type": _type(declared[name]), "widget": {"name": name}, "link": None, "label": label}
            for name, label in labels.items()
        ]

    def group(self, title: str, at: Point, size: Point, colour: str) -> None:
        """A frame with a title behind nodes."""
        number = len(self.groups) + 1
        frame = {"id": number, "title": title, "bounding": [*at, *size], "color": colour, "font_size": 22, "flags": {}}
        self.groups.append(frame)

    def _place(self, kind, title, at, size, slots, outputs, values, properties) -> tuple[Output, ...]:
        number, self.next = self.next, self.next + 1
        rows = max(len(slots), len(outputs)) + len(values)
        self.nodes.append(
            {
                "id": number,
                "type": kind,
                "pos": list(at),
                "size": [size[0], size[1] or 10 + rows * ROW],
                "flags": {},
                "order": len(self.nodes),
                "mode": 0,
                "inputs": [entry for entry, _ in slots],
                "outputs": outputs,
                "title": title,
                "properties": properties,
                "widgets_values": values,
            }
        )
        for place, (entry, given) in enumerate(slots):
            if isinstance(given, Output):
                entry["link"] = self._link(given, number, place, entry["type"])
        return tuple(Output(number, slot, output["type"]) for slot, output in enumerate(outputs))

    def _link(self, source: Output, target: int, place: int, type_: str) -> int:
        number = len(self.links) + 1
        if source.node > 0:
            node = next(node for node in self.nodes if node["id"] == source.node)
            node["outputs"][source.slot]["links"].append(number)
        self.links.append([number, *source[:2], target, place, source.type if type_ == "*" else type_])
        return number

    def _values(self, kind: str, name: str, options: dict, spec: list, given: Any) -> list:
        """A widget's value, and those of the widgets that the page puts beside it."""
        if given is None:
            choices = spec[0] if isinstance(spec[0], list) else options.get("options")
            given = self.defaults.get(kind, {}).get(name, options.get("default", choices[0] if choices else ""))
        # What becomes of a seed after a run, and an upload button. The nodes of this pack ask for no such widget; older
        # pages have it anyway, and where it is the last one, a value too many does no harm on newer ones.
        declared = self.info[kind]["input"]
        last = name == [*declared.get("required", {}), *declared.get("optional", {})][-1]
        if name == "seed" and (options.get("control_after_generate") is not False or last):
            return [given, "fixed"]
        return [given, "image"] if options.get("image_upload") else [given]

    def workflow(self, name: str, **extra: Any) -> dict:
        """What the graph editor saves."""
        return {
            "id": str(uuid.uuid5(NAMESPACE, name)),
            "revision": 0,
            "last_node_id": self.next - 1,
            "last_link_id": len(self.links),
            "nodes": self.nodes,
            "links": self.links,
            "groups": self.groups,
            **({"definitions": {"subgraphs": [each.definition() for each in self.inside]}} if self.inside else {}),
            "config": {},
            "extra": extra,
            "version": 0.4,
        }


class Subgraph(Page):
    """What is inside a node made of nodes."""

    def __init__(self, name: str, description: str, info: dict, defaults: dict[str, dict], first: int):
        super().__init__(info, defaults, first)
        self.name, self.description = name, description
        self.id = str(uuid.uuid5(NAMESPACE, name))
        self.taken: list[Slot] = []
        self.given: list[Slot] = []

    def take(self, name: str, type_: str, label: str = "", value: Any = None) -> Output:
        """An input on the outside, to be given to nodes inside. One with a value is a widget."""
        self.taken.append(Slot(name, type_, label, value is not None, value))
        return Output(TAKEN, len(self.taken) - 1, type_)

    def give(self, name: str, output: Output, label: str = "") -> None:
        """An output on the outside."""
        slot = Slot(name, output.type, label)
        slot.links.append(self._link(output, GIVEN, len(self.given), output.type))
        self.given.append(slot)

    def _link(self, source: Output, target: int, place: int, type_: str) -> int:
        number = super()._link(source, target, place, type_)
        if source.node == TAKEN:
            self.taken[source.slot].links.append(number)
        return number

    def definition(self) -> dict:
        """As a workflow with such a node holds it."""
        right = max(node["pos"][0] + node["size"][0] for node in self.nodes) + 120
        left = min(node["pos"][0] for node in self.nodes) - 260
        keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        return {
            "id": self.id,
            "version": 1,
            "state": {"lastGroupId": 0, "lastNodeId": self.next - 1, "lastLinkId": len(self.links), "lastRerouteId": 0},
            "revision": 0,
            "config": {},
            "name": self.name,
            "inputNode": {"id": TAKEN, "bounding": [left, 100, 140, 40 + 20 * len(self.taken)]},
            "outputNode": {"id": GIVEN, "bounding": [right, 100, 140, 40 + 20 * len(self.given)]},
            "inputs": [self._slot(slot, "in", left + 120, row) for row, slot in enumerate(self.taken)],
            "outputs": [self._slot(slot, "out", right + 20, row) for row, slot in enumerate(self.given)],
            "widgets": [],
            "nodes": self.nodes,
            "groups": self.groups,
            "links": [dict(zip(keys, link, strict=True)) for link in self.links],
            "extra": {},
            "category": "Image generation and editing/Edit image",
            "description": self.description,
        }

    def _slot(self, slot: Slot, side: str, x: int, row: int) -> dict:
        return {
            "id": str(uuid.uuid5(NAMESPACE, f"{self.name}/{side}/{slot.name}")),
            **slot.shown(),
            "linkIds": slot.links,
            "pos": [x, 120 + 20 * row],
        }

    def blueprint(self, aliases: list[str]) -> dict:
        """The file from which the host offers the node."""
        page = Page(self.info)
        page.put(self, (0, 0), (400, 460))
        return page.workflow(f"blueprint {self.name}", BlueprintSearchAliases=aliases)


def _short(values: list, declared: dict) -> list:
    """Without what comes later than one after our seeds, where it is at its default.

    Pages of March 2024 have a widget of their own after each seed, and would take each value for the one before it.
    """
    names = [name for name, spec in declared.items() if _type(spec) in WIDGETS and not _options(spec).get("forceInput")]
    if "seed" not in names or len(values) != len(names):  # with the page's widget, each value is in its place
        return values
    for place in range(len(names) - 1, names.index("seed") + 1, -1):
        if values[place] != _options(declared[names[place]]).get("default"):
            return values
        values = values[:place]
    return values


def _options(spec: list) -> dict:
    return spec[1] if len(spec) > 1 else {}


def _type(spec: list) -> str:
    return "COMBO" if isinstance(spec[0], list) else _any(spec[0])


def _any(type_: str) -> str:
    return "*" if type_.startswith("COMFY_MATCHTYPE") else type_
