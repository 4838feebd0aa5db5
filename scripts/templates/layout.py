"""Turns a graph in the API's format into the workflow that the graph editor opens, laid out in columns.

A link to the next column goes straight there. One that goes further runs along a lane over or under the nodes, from
a reroute behind the column of its source to one before each column that takes it, so that none runs behind a node.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field

from scripts.client import Graph
from scripts.templates.geometry import TITLE

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
GAP, REROUTE_AT = 240, 80  # between columns; of a reroute from the left of a gap
REROUTE = [75, 26]
LANE = 36  # between two lanes
NOTE_HEIGHT, MARGIN = 120, 30
COLOURS = ("#3f789e", "#8A8", "#b58b2a", "#a1309b")
NAMESPACE = uuid.UUID("752016f3-93f5-55ed-b343-72fde6583bbe")


@dataclass
class Place:
    """How a workflow is laid out.

    Args:
        columns: from left to right, each a list of (title, top).
        sizes: width and height by title or by class.
        above, below: signals that run over and under the nodes, nearest first, each "title/output number".
        sections: title, first and last column, title and text of the note over them.
        gap: between columns; the taller they are, the more a link to their far end needs.
    """

    columns: list[list[tuple[str, int]]]
    sizes: dict[str, tuple[int, int]]
    above: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    sections: list[tuple[str, int, int, str, str]] = field(default_factory=list)
    gap: int = GAP


class Layout:
    """A workflow in the making; `workflow()` gives it."""

    def __init__(self, name: str, graph: Graph, info: dict, place: Place):
        """
        Args:
            info: what the host tells of its nodes (object_info).
        """
        self.name, self.graph, self.info, self.place = name, graph, info, place
        self.ids = {content["_meta"]["title"]: int(number) for number, content in graph.items()}
        self.nodes: dict[int, dict] = {}
        self.links: list[list] = []
        self.gaps: list[int] = []  # the left of the gap after each column
        self.column: dict[int, int] = {}
        self._stand()
        self._join()
        self._frame()

    def _stand(self) -> None:
        left = 0
        for number, column in enumerate(self.place.columns):
            width = max(self._size(title)[0] for title, _ in column)
            for title, top in column:
                self.column[self.ids[title]] = number
                self._node(title, [left, top])
            left += width
            self.gaps.append(left)
            left += self.place.gap
        self.top = min(top for column in self.place.columns for _, top in column) - TITLE
        self.bottom = max(top + self._size(title)[1] for column in self.place.columns for title, top in column)

    def _size(self, title: str) -> tuple[int, int]:
        kind = self.graph[str(self.ids[title])]["class_type"]
        return self.place.sizes.get(title) or self.place.sizes[kind]

    def _node(self, title: str, position: list[int]) -> None:
        number = self.ids[title]
        content = self.graph[str(number)]
        kind, values = content["class_type"], content["inputs"]
        inputs, widgets = [], []
        declared = list(self._declared(kind))
        for name, spec in declared:
            options = spec[1] if len(spec) > 1 else {}
            is_widget = (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options.get("forceInput")
            if is_widget:
                widgets.append(values[name])
                # The graph editor's own widgets: what becomes of a seed after a run, and an upload button.
                # Newer pages have the former only where a node wants it. At the end, a value too many does no harm.
                if name == "seed" and (options.get("control_after_generate") is not False or name == declared[-1][0]):
                    widgets.append("fixed")
                if options.get("image_upload"):
                    widgets.append("image")
            else:
                kind_of = spec[0] if isinstance(spec[0], str) else "COMBO"
                optional = {"shape": 7} if name in self.info[kind]["input"].get("optional", {}) else {}
                inputs.append({"name": name, "type": kind_of, "link": None, **optional})
        outputs = [
            {"name": name, "type": given, "links": [], "slot_index": slot}
            for slot, (name, given) in enumerate(
                zip(self.info[kind]["output_name"], self.info[kind]["output"], strict=True)
            )
        ]
        self._add(number, kind, position, self._size(title), inputs, outputs, title=title, widgets=widgets)
        self.nodes[number]["properties"] = {"Node name for S&R": kind}

    def _declared(self, kind: str) -> list[tuple[str, list]]:
        declared = self.info[kind]["input"]
        return [*declared.get("required", {}).items(), *declared.get("optional", {}).items()]

    def _add(self, number, kind, position, size, inputs, outputs, title=None, widgets=None) -> None:
        self.nodes[number] = {
            "id": number,
            "type": kind,
            "pos": list(position),
            "size": list(size),
            "flags": {},
            "order": len(self.nodes),
            "mode": 0,
            "inputs": inputs,
            "outputs": outputs,
            **({"title": title} if title else {}),
            "properties": {},
            **({"widgets_values": widgets} if widgets else {}),
        }

    def _join(self) -> None:
        """Every link of the graph, straight or by the lane of its signal."""
        wanted: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for number, content in self.graph.items():
            names = [slot["name"] for slot in self.nodes[int(number)]["inputs"]]
            for name, value in content["inputs"].items():
                if isinstance(value, list):
                    wanted.setdefault((int(value[0]), value[1]), []).append((int(number), names.index(name)))
        lanes = {signal: -(rank + 1) * LANE - 20 for rank, signal in enumerate(self.place.above)}
        below = {signal: (rank + 1) * LANE + 20 for rank, signal in enumerate(self.place.below)}
        for (source, slot), takers in wanted.items():
            title = self.graph[str(source)]["_meta"]["title"]
            signal = f"{title}/{slot}"
            near = [taker for taker in takers if self.column[taker[0]] == self.column[source] + 1]
            far = sorted((taker for taker in takers if taker not in near), key=lambda taker: self.column[taker[0]])
            for taker in near:
                self._link(source, slot, *taker)
            if far:
                height = self.top + lanes[signal] if signal in lanes else self.bottom + below[signal]
                self._lane(source, slot, far, height)

    def _lane(self, source: int, slot: int, takers: list[tuple[int, int]], height: int) -> None:
        at = {self.column[source]: self._reroute(source, slot, self.column[source], height)}
        for taker, place in takers:
            gap = self.column[taker] - 1
            if gap not in at:
                at[gap] = self._reroute(at[max(at)], 0, gap, height)
            self._link(at[gap], 0, taker, place)

    def _reroute(self, source: int, slot: int, gap: int, height: int) -> int:
        number = max(*self.nodes, *self.ids.values()) + 1
        kind = self.nodes[source]["outputs"][slot]["type"]
        inputs = [{"name": "", "type": "*", "link": None}]
        outputs = [{"name": kind, "type": kind, "links": [], "slot_index": 0}]
        self._add(number, "Reroute", [self.gaps[gap] + REROUTE_AT, height], REROUTE, inputs, outputs)
        self.nodes[number]["properties"] = {"showOutputText": False, "horizontal": False}
        self._link(source, slot, number, 0)
        return number

    def _link(self, source: int, slot: int, target: int, place: int) -> None:
        number = len(self.links) + 1
        output = self.nodes[source]["outputs"][slot]
        output["links"].append(number)
        self.nodes[target]["inputs"][place]["link"] = number
        self.links.append([number, source, slot, target, place, output["type"]])

    def _frame(self) -> None:
        """Groups around the columns of each section, with a note on top."""
        boxes = [node["pos"] + node["size"] for node in self.nodes.values()]
        top = min(y for _, y, _, _ in boxes) - TITLE
        bottom = max(y + height for _, y, _, height in boxes) + MARGIN
        note_top = top - MARGIN - NOTE_HEIGHT
        self.groups = []
        for number, (title, first, last, heading, text) in enumerate(self.place.sections, 1):
            left = self.gaps[first] - max(self._size(name)[0] for name, _ in self.place.columns[first])
            right = self.gaps[last]
            note = max([*self.nodes, 0]) + 1
            self._add(note, "Note", [left, note_top], [min(right - left, 820), NOTE_HEIGHT], [], [], heading, [text])
            self.nodes[note] |= {"properties": {"text": ""}, "color": "#432", "bgcolor": "#653"}
            area = [left - MARGIN, note_top - TITLE - 60, right - left + 2 * MARGIN, bottom - note_top + TITLE + 60]
            self.groups.append(
                {
                    "id": number,
                    "title": f"{number}  {title}",
                    "bounding": area,
                    "color": COLOURS[(number - 1) % len(COLOURS)],
                    "font_size": 24,
                    "flags": {},
                }
            )

    def workflow(self) -> dict:
        """What the graph editor saves."""
        return {
            "id": str(uuid.uuid5(NAMESPACE, self.name)),
            "revision": 0,
            "last_node_id": max(self.nodes),
            "last_link_id": len(self.links),
            "nodes": list(self.nodes.values()),
            "links": self.links,
            "groups": self.groups,
            "config": {},
            "extra": {},
            "version": 0.4,
        }


def written(workflow: dict) -> str:
    """As JSON with a line a node and a line a link, so that a difference can be read."""
    lists = {"nodes", "links", "groups"}
    parts = []
    for key, value in workflow.items():
        if key in lists:
            lines = ",\n".join(f"    {json.dumps(item, ensure_ascii=False)}" for item in value)
            parts.append(f'  "{key}": [\n{lines}\n  ]')
        else:
            parts.append(f'  "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"
