"""Where the graph editor draws the links of a workflow, to measure what they cross and what they run behind."""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from typing import NamedTuple

SLOT, TITLE = 20, 30  # height of a row of slots and of a title, in the editor's pixels
INSET = 10  # of a slot from its node's edge
POINTS = 48  # a link is measured at

Point = tuple[float, float]


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def holds(self, point: Point) -> bool:
        return self.left < point[0] < self.right and self.top < point[1] < self.bottom


def box(node: dict) -> Box:
    """The node as drawn, its title included."""
    (x, y), (width, height) = node["pos"], node["size"]
    return Box(x, y - (0 if node["type"] == "Reroute" else TITLE), x + width, y + height)


def output(node: dict, slot: int) -> Point:
    """Where the links of an output start."""
    return node["pos"][0] + node["size"][0] + 1 - INSET, node["pos"][1] + (slot + 0.7) * SLOT


def given(node: dict, slot: int) -> Point:
    """Where the link to an input ends."""
    return node["pos"][0] + INSET, node["pos"][1] + (slot + 0.7) * SLOT


def curve(start: Point, end: Point) -> list[Point]:
    """The editor's spline: a cubic Bezier curve whose handles are a quarter of the distance long."""
    handle = 0.25 * math.dist(start, end)
    xs = (start[0], start[0] + handle, end[0] - handle, end[0])
    ys = (start[1], start[1], end[1], end[1])
    weights = []
    for number in range(POINTS + 1):
        t = number / POINTS
        weights.append(((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3))
    return [(sum(map(_times, weight, xs)), sum(map(_times, weight, ys))) for weight in weights]


def _times(a: float, b: float) -> float:
    return a * b


class Link(NamedTuple):
    name: int
    source: int  # a node's id
    target: int
    signal: tuple[int, int]  # the output it carries, seen through reroutes: node and slot
    points: list[Point]


def links(workflow: dict) -> list[Link]:
    """Every link of a workflow in the format that the editor saves, as drawn."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    ends = {link[0]: link for link in workflow["links"]}

    def signal(link: int) -> tuple[int, int]:
        _, node, slot, *_ = ends[link]
        return signal(nodes[node]["inputs"][0]["link"]) if nodes[node]["type"] == "Reroute" else (node, slot)

    return [
        Link(name, source, target, signal(name), curve(output(nodes[source], slot), given(nodes[target], place)))
        for name, source, slot, target, place, _ in workflow["links"]
    ]


def behind(workflow: dict) -> list[tuple[int, int]]:
    """Links that run behind a node which is neither of their ends: link, node."""
    boxes = {node["id"]: box(node) for node in workflow["nodes"]}
    return [
        (link.name, name)
        for link in links(workflow)
        for name, area in boxes.items()
        if name not in (link.source, link.target) and any(map(area.holds, link.points))
    ]


def crossings(workflow: dict) -> list[tuple[int, int]]:
    """Pairs of links that cross. Those of one output do not count: they carry the same."""
    drawn = [(link, _bounds(link.points)) for link in links(workflow)]
    return [
        (one.name, other.name)
        for (one, area), (other, area2) in combinations(drawn, 2)
        if one.signal != other.signal and _touch(area, area2) and _cross(one.points, other.points)
    ]


def _bounds(points: list[Point]) -> Box:
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _touch(a: Box, b: Box) -> bool:
    return a.left <= b.right and b.left <= a.right and a.top <= b.bottom and b.top <= a.bottom


def _cross(one: list[Point], other: list[Point]) -> bool:
    pieces = [(a, b, _bounds([a, b])) for a, b in pairwise(other)]
    for a, b in pairwise(one):
        area = _bounds([a, b])
        if any(_touch(area, area2) and _pieces_cross(a, b, c, d) for c, d, area2 in pieces):
            return True
    return False


def _pieces_cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    return _side(a, b, c) * _side(a, b, d) <= 0 and _side(c, d, a) * _side(c, d, b) <= 0


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
