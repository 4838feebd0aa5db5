"""Pages of the graph editor as they are written down, and what they queue."""

import pytest

from scripts import workflow
from scripts.templates.page import Output, Page, Subgraph
from tests import experience

INFO = {
    "Load": {"input": {"required": {"file": [["a", "b"], {}]}}, "output": ["IMAGE"], "output_name": ["image"]},
    "Blur": {
        "input": {"required": {"image": ["IMAGE"], "seed": ["INT", {"default": 7}], "by": ["FLOAT", {"default": 1.0}]}},
        "output": ["IMAGE"],
        "output_name": ["image"],
    },
    "Save": {
        "input": {"required": {"image": ["IMAGE"]}, "optional": {"mask": ["MASK"]}},
        "output": [],
        "output_name": [],
    },
}


def page() -> dict:
    """A photo, blurred twice inside a node, and saved."""
    inside = Subgraph("Twice", "Blurs twice.", INFO, {}, first=11)
    image, by = inside.take("photo", "IMAGE"), inside.take("strength", "FLOAT", value=2.0)
    for _ in range(2):
        (image,) = inside.add("Blur", "Blur", (0, 0), (200, 0), image=image, by=by)
    inside.give("blurred", image)
    page = Page(INFO, {"Load": {"file": "b"}})
    (photo,) = page.add("Load", "Photo", (0, 0), (200, 0))
    (blurred,) = page.put(inside, (300, 0), (200, 0), photo=photo, strength=3.0)
    page.add("Save", "Saved", (600, 0), (200, 0), image=blurred)
    page.note("Note", (0, 300), (200, 100), "for people")
    return page.workflow("page")


def test_what_is_inside_is_queued_with_what_stands_outside():
    assert workflow.queued(page(), INFO) == {
        "1": {"class_type": "Load", "inputs": {"file": "b"}, "_meta": {"title": "Photo"}},
        "2:11": {"class_type": "Blur", "inputs": {"seed": 7, "by": 3.0, "image": ["1", 0]}, "_meta": {"title": "Blur"}},
        "2:12": {
            "class_type": "Blur",
            "inputs": {"seed": 7, "by": 3.0, "image": ["2:11", 0]},
            "_meta": {"title": "Blur"},
        },
        "3": {"class_type": "Save", "inputs": {"image": ["2:12", 0]}, "_meta": {"title": "Saved"}},
    }


def test_links_are_known_at_both_ends():
    opened = page()
    photo, twice, saved, _ = opened["nodes"]
    assert photo["outputs"][0]["links"] == [1]
    assert [slot["link"] for slot in twice["inputs"]] == [1, None]
    assert twice["widgets_values"] == [3.0]
    assert saved["inputs"][0]["link"] == 2
    (inside,) = opened["definitions"]["subgraphs"]
    assert [slot["linkIds"] for slot in inside["inputs"]] == [[1], [2, 4]]
    assert [slot["linkIds"] for slot in inside["outputs"]] == [[5]]


def test_a_name_that_the_node_does_not_have_is_a_mistake():
    page = Page(INFO)
    with pytest.raises(AssertionError, match="Load has no"):
        page.add("Load", "Photo", (0, 0), (200, 0), image=Output(1, 0, "IMAGE"))


def test_languages_count_where_every_node_has_a_page(tmp_path):
    for file in ("A.md", "B.md", "A/de.md", "B/de.md", "A/fr.md"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("help")
    assert experience.languages_with_help(tmp_path) == 2


def test_figures_of_other_runs_stay(tmp_path):
    path = tmp_path / "experience.json"
    experience.write({"app_opens": True, "templates": {"one": {"zoom": 0.8}}}, path)
    experience.write({"blueprint_first_hit": True}, path)
    text = path.read_text()
    assert '"app_opens": true' in text
    assert '"blueprint_first_hit": true' in text
    assert '"zoom": 0.8' in text
