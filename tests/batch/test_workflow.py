"""A user's own workflow: which inputs the columns of a manifest replace."""

import json
from dataclasses import replace

import pytest

from imagic.batch.engines.comfyui import _Place, _Pool
from imagic.batch.engines.comfyui_server import Server
from imagic.batch.engines.workflow import NotAWorkflow, Workflow
from imagic.batch.manifest import Row

from . import world

ROW = Row(1, "cats/a.jpg", "a dog", "a cat", "m.png", 7, 0.5, "a.png", {"cfg": "2", "tiled": "yes"})


@pytest.fixture
def path(tmp_path):
    return world.workflow(tmp_path / "workflow.json")


def test_a_row_fills_in_what_the_rules_name(path):
    rules = ["sentence=What the photo shows.text", "caption=5.text", "seed=6.seed", "strength=6.denoise", "cfg=6.cfg"]
    workflow = Workflow(path, rules)
    graph = workflow.filled(ROW, {"photo": "x.png"})
    assert graph["1"]["inputs"] == {"image": "x.png"}  # without a rule, since there is only one
    assert (graph["4"]["inputs"]["text"], graph["5"]["inputs"]["text"]) == ("a dog", "a cat")
    assert {name: graph["6"]["inputs"][name] for name in ("seed", "denoise", "cfg")} == {
        "seed": 7,
        "denoise": 0.5,
        "cfg": 2.0,
    }
    assert graph["8"]["inputs"]["filename_prefix"] == f"imagic-batch/{ROW.key}"
    assert workflow.more == {"cfg"}
    assert workflow.files(ROW) == {"photo": "cats/a.jpg"}
    assert workflow.place("photo") == "temp"
    assert Workflow(path, rules).graph == json.loads(path.read_text())  # which it does not change


@pytest.mark.parametrize(
    ("rules", "output", "sentence"),
    [
        ([], "", "add --set sentence=NODE.text"),
        (["sentence"], "", "write column=node.input"),
        (["sentence=4"], "", "write column=node.input"),
        (["sentence=99.text"], "", "no node of the name '99'"),
        (["sentence=4.words"], "", "has no input 'words': it has clip, text"),
        (["sentence=6.positive"], "", "comes from another node"),
        (["sentence=4.text"], "Nobody", "no node of the name 'Nobody'"),
    ],
)
def test_rules_that_cannot_be(path, rules, output, sentence):
    with pytest.raises(NotAWorkflow, match=sentence):
        Workflow(path, rules, output)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "export it from ComfyUI again"),
        ("[" * 100_000, "export it from ComfyUI again"),
        ('{"nodes": [], "links": []}', "is a workflow as ComfyUI's page keeps it, not in API format"),
        *((content, "no workflow in API format") for content in ("[]", "{}", "null", '"a"', "3", '{"1": []}')),
        ('{"last": 3, "1": {"class_type": "A", "inputs": {}}}', "no workflow in API format"),
        *(
            (
                f'{{"1": {{"class_type": {kind}, "inputs": {inputs}, "_meta": {meta}}}}}',
                f"Node '1' of a.json has no {part}",
            )
            for kind, inputs, meta, part in (
                ("3", "{}", "{}", "class_type"),
                ('"A"', "null", "{}", "inputs"),
                ('"A"', "[]", "{}", "inputs"),
                ('"A"', "{}", "[]", "_meta"),
            )
        ),
        ('{"1": {"inputs": {}}}', "Node '1' of a.json has no class_type as in API format: use"),
        ('{"1": {"class_type": "A"}}', "Node '1' of a.json has no inputs as in API format: use"),
        ('{"1": {"class_type": "A", "inputs": {"text": ""}}}', "0 Load Image nodes: add --set photo"),
    ],
)
def test_files_that_are_no_workflows(tmp_path, content, sentence):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(NotAWorkflow, match=sentence):
        Workflow(tmp_path / "a.json", ["sentence=1.text"])
    with pytest.raises(NotAWorkflow, match="correct its path"):
        Workflow(tmp_path / "b.json", [])


def test_nodes_may_have_no_title_and_the_file_a_mark_at_its_start(path):
    graph = json.loads(path.read_text())
    graph["5"]["_meta"], graph["6"]["_meta"] = None, {"title": None}
    path.write_text(json.dumps(graph), encoding="utf-8-sig")
    assert Workflow(path, ["sentence=What the photo shows.text"]).graph == graph


def test_a_number_of_a_row_is_not_rounded_where_the_page_wrote_a_whole_one(path):
    graph = json.loads(path.read_text())
    graph["6"]["inputs"] |= {"denoise": 1, "cfg": 4}
    path.write_text(json.dumps(graph))
    workflow = Workflow(path, ["sentence=4.text", "strength=6.denoise", "cfg=6.cfg", "seed=6.seed"])
    row = replace(ROW, seed=2**64 - 1, more={"cfg": "2.5"})
    found = workflow.filled(row, {"photo": "x.png"})["6"]["inputs"]
    assert (found["denoise"], found["cfg"], found["seed"]) == (0.5, 2.5, 2**64 - 1)


def test_a_row_that_does_not_fit(path):
    workflow = Workflow(path, ["sentence=4.text", "tiled=6.cfg"])
    with pytest.raises(ValueError, match="tiled is 'yes': the workflow takes a number there"):
        workflow.filled(ROW, {"photo": "x.png"})
    workflow = Workflow(path, ["sentence=4.text", "seed=6.cfg", "tiled=6.seed"])
    for text in ("nan", "inf", "x", ""):
        with pytest.raises(ValueError, match=f"tiled is '{text}': the workflow takes a number there"):
            workflow.filled(replace(ROW, more={"tiled": text}), {"photo": "x.png"})
    with pytest.raises(ValueError, match=r"photo is empty: the workflow needs one for 1\.image"):
        Workflow(path, ["sentence=4.text"]).filled(ROW, {})


def test_a_server_gets_what_it_has_in_its_cache(path, tmp_path):
    units = [[Row(number, photo, "", anchor)] for number, (photo, anchor) in enumerate(["ax", "ay", "bx", "bx", "cx"])]
    pool = _Pool(iter(units), Workflow(path, ["sentence=4.text"]), tmp_path, [Server("http://a"), Server("http://b")])
    one, other = pool._places
    assert isinstance(one, _Place)

    def take(place) -> int:
        row = pool._take(place)[0]
        place.last = row.photo, row.anchor
        return row.number

    assert take(one) == 0
    assert take(other) == 2  # another photo, since the first server has that of 0 and 1
    assert take(other) == 3  # the same photo and tuning
    assert take(one) == 1  # the same photo
    assert take(other) == 4
