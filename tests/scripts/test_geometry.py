"""What is measured of a workflow's links is what can be seen."""

import pytest

from scripts.templates import geometry


def node(number: int, x: float, y: float, kind: str = "Any") -> dict:
    return {"id": number, "type": kind, "pos": [x, y], "size": [100, 60], "inputs": [{"link": None}], "outputs": []}


def workflow(*links: tuple[int, int], nodes: list[dict]) -> dict:
    joined = [[number, source, 0, target, 0, "ANY"] for number, (source, target) in enumerate(links, 1)]
    by_id = {each["id"]: each for each in nodes}
    for number, _, _, target, *_ in joined:
        by_id[target]["inputs"][0]["link"] = number
    return {"nodes": nodes, "links": joined}


def test_a_link_starts_and_ends_at_its_slots_and_leaves_level():
    points = geometry.curve((0, 0), (100, 100))
    assert points[0] == (0, 0)
    assert points[-1] == pytest.approx((100, 100))
    assert points[1][1] < 0.2 * points[1][0]


def test_a_node_in_the_way_hides_a_link():
    ends = [node(1, 0, 0), node(2, 600, 0)]
    assert geometry.behind(workflow((1, 2), nodes=[*ends, node(3, 300, 0)])) == [(1, 3)]
    assert geometry.behind(workflow((1, 2), nodes=[*ends, node(3, 300, 100)])) == []
    # The title lies over a node's position.
    assert geometry.behind(workflow((1, 2), nodes=[*ends, node(3, 300, 30)])) == [(1, 3)]
    assert geometry.behind(workflow((1, 2), nodes=[*ends, node(3, 300, 30, "Reroute")])) == []


def test_links_of_different_outputs_that_change_places_cross():
    nodes = [node(1, 0, 0), node(2, 0, 200), node(3, 600, 0), node(4, 600, 200)]
    assert geometry.crossings(workflow((1, 4), (2, 3), nodes=nodes)) == [(1, 2)]
    assert geometry.crossings(workflow((1, 3), (2, 4), nodes=nodes)) == []


def test_links_of_one_output_do_not_cross_seen_through_reroutes():
    nodes = [node(1, 0, 0), node(2, 300, 200, "Reroute"), node(3, 600, 0), node(4, 300, -200), node(5, 600, 300)]
    crossed = workflow((1, 2), (2, 3), (1, 5), nodes=nodes)
    assert geometry.crossings(crossed) == []
    crossed["links"][2][1] = 4
    assert geometry.crossings(crossed) == [(2, 3)]
