"""The pack in the host's own web page, in a headless Chromium. Screenshots go to build/browser-<version>/."""

import re

import pytest
import requests
from playwright.sync_api import sync_playwright

from imagic import edit_file
from scripts import browser, workflow
from scripts.templates import geometry

from .webpage import (
    APP,
    NAMES,
    as_drawn,
    finished,
    folder_of,
    ids,
    look_at,
    open_template,
    open_workflow,
    press_cancel,
    press_run,
    queued_graph,
    read,
    said_on,
    set_widgets,
    shortened,
    show_all,
    wait_until,
)

OF_THE_HOST = re.compile(r"/templates/[^/]*\.(webp|png|jpe?g|gif)(\?.*)?$")
MILLISECONDS = 180_000  # a page that draws without a GPU, on a machine that also trains


@pytest.fixture(scope="module")
def pictures(server):
    return folder_of(server)


@pytest.fixture(scope="module")
def page(server):
    """The host's page, loaded as by a user who has been here before."""
    requests.post(f"{server.address}/settings", json={"Comfy.TutorialCompleted": True}, timeout=30)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=list(browser.FLAGS))
        tab = chromium.new_page(viewport={"width": 1600, "height": 900})
        tab.set_default_timeout(MILLISECONDS)
        # The host's own templates show hundreds of pictures, which take half a minute to draw without a GPU.
        tab.route(OF_THE_HOST, lambda route: route.abort())
        tab.goto(server.address, wait_until="domcontentloaded")
        # Newer frontends put `app` there before it is whole.
        tab.wait_for_function(
            "window.app?.graph && (!window.comfyAPI || app.extensionManager?.workflow?.activeWorkflow)"
        )
        yield tab
        chromium.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_page_makes_of_each_workflow_the_graph_beside_it(page, server, pictures, name):
    if name == "imagic_flux" and "FluxGuidance" not in requests.get(f"{server.address}/object_info", timeout=60).json():
        assert server.host.version == "2024-03"
        pytest.skip("ComfyUI of March 2024 is older than Flux")
    open_template(page, server, name)
    expected = workflow.load(name)
    assert queued_graph(page) == {
        number: {"class_type": node["class_type"], "inputs": node["inputs"]} for number, node in expected.items()
    }
    # Nodes are drawn at least as large as the page needs them, and links run where there are none.
    assert geometry.behind(as_drawn(page, read(name))) == []
    show_all(page)
    page.wait_for_timeout(1500)
    page.screenshot(path=pictures / f"{name}.png")


def test_the_button_runs_it_and_the_pictures_appear_on_the_nodes(page, server, pictures):
    shortened(page)
    press_run(page)
    wait_until(lambda: finished(server), 180)
    page.wait_for_function("(id) => window.app.nodeOutputs?.[id]", arg=str(ids()["The sheet"]), polling=500)
    page.wait_for_timeout(2000)
    show_all(page)
    page.wait_for_timeout(1000)
    page.screenshot(path=pictures / "ran.png")
    outputs = finished(server)[-1]["outputs"]
    for title in ("The sheet", "The edit"):
        assert len(outputs[str(ids()[title])]["images"]) == 1


def test_progress_and_preview_are_seen_and_cancel_ends_it(page, server, pictures):
    shortened(page)
    stage = ids()["A: optimize the embedding"]
    set_widgets(page, stage, steps=9999, seed=77)
    look_at(page, stage)
    before = len(finished(server))
    press_run(page)
    page.wait_for_function(
        """(id) => { const node = app.graph.getNodeById(id);
            return (node.progress > 0 || app.progress?.value > 0)
                && (node.imgs?.length || app.nodePreviewImages?.[id]) }""",
        arg=stage,
        polling=250,
    )
    page.wait_for_timeout(2500)  # for a second preview
    page.screenshot(path=pictures / "progress.png")
    tells = server.host.version != "2024-03"  # which is older than lines on nodes
    if tells:
        assert re.search(r"step \d+ of 9999, loss 0\.\d+, validation ~0\.\d+, \d+ s left", said_on(page, stage))
    press_cancel(page)
    wait_until(lambda: len(finished(server)) > before)
    page.wait_for_timeout(1000)
    page.screenshot(path=pictures / "cancelled.png")
    last = finished(server)[-1]
    if tells:
        assert re.search(r"cancelled after step \d+, the model is as it was", said_on(page, stage))
    # Hosts of March 2024 keep no more than that nothing came of it.
    assert not last["outputs"].get(str(ids()["The edit"]))
    if messages := last.get("status", {}).get("messages"):
        assert messages[-1][0] == "execution_interrupted"
    assert requests.get(f"{server.address}/queue", timeout=30).json() == {"queue_running": [], "queue_pending": []}


def test_the_help_panel_shows_our_page(page, server, pictures):
    if server.host.version == "2024-03":  # older than the panel
        assert not page.evaluate("!!window.app.extensionManager")
        return
    open_workflow(page, read("imagic_pick_eta"))
    look_at(page, ids()["Pick the edit"])
    page.evaluate("(id) => app.canvas.selectNode(app.graph.getNodeById(id))", ids()["Pick the edit"])
    page.get_by_test_id("info-button").first.click(no_wait_after=True)
    page.get_by_text('Answers "which eta?"').first.wait_for(state="visible")
    # The pictures are ours and arrive.
    page.wait_for_function(
        "[...document.images].some((image) => image.src.includes('pictures/pick') && image.naturalWidth > 0)"
    )
    page.screenshot(path=pictures / "help.png")


def test_wrong_input_shows_our_sentence(page, pictures):
    shortened(page)
    set_widgets(page, ids()["C: a sweep of eta"], sweep="a lot")
    press_run(page)
    sentence = page.get_by_text("write numbers separated by commas").first
    details = page.get_by_test_id("error-overlay-see-errors")
    details.or_(sentence).first.wait_for(state="visible")
    if details.is_visible():
        details.click(no_wait_after=True)
    sentence.wait_for(state="visible")
    page.screenshot(path=pictures / "error.png")


def test_what_a_shared_file_says_is_text_on_the_page(page, server, client, pictures):
    """The node warns with the name of the checkpoint that stands in the file, and pages take such lines as HTML."""
    graph = workflow.load()
    workflow.inputs(graph, "Photo")["image"] = client.upload_image(workflow.PHOTO)
    workflow.inputs(graph, "A: optimize the embedding").update(steps=1, samples=1)
    workflow.inputs(graph, "B: tune the model").update(steps=1, samples=1)
    model, photo, text, optimize, tune = (
        workflow.node(graph, title)
        for title in ("Demo model", "Photo", "Target text", "A: optimize the embedding", "B: tune the model")
    )
    saving = {"model": [model, 0], "optimized": [optimize, 0], "anchor": [text, 0], "lora": [tune, 1]}
    saving |= {"source": [photo, 0], "name": "shared & sent"}
    needed = {
        name: graph[name] for name in (model, photo, text, optimize, tune, workflow.node(graph, "Encode the photo"))
    }
    saved = client.run(needed | {"save": {"class_type": "ImagicSaveEdit", "inputs": saving}}).outputs["save"]
    path = server.output / "imagic" / saved["imagic"][0]["edit"]
    edit = edit_file.load(path)
    edit.base.values += 1
    edit.about["base"] = "<img src=x onerror='window.ran = true'>\n" * 9
    edit_file.save(edit, path)

    node = {"1": {"class_type": "ImagicDemoCheckpoint", "inputs": {}}}
    node["2"] = {"class_type": "ImagicLoadEdit", "inputs": {"model": ["1", 0], "edit": path.name, "strength": 1.0}}
    node["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["2", 4]}}
    page.evaluate(f"async (graph) => {{ {APP} await app.loadApiJson(graph, 'shared') }}", node)
    before = len(finished(server))
    # Not by the button, which a dialog of the test before may cover.
    page.evaluate(f"async () => {{ {APP} await app.queuePrompt(0, 1) }}")
    wait_until(lambda: len(finished(server)) > before)
    page.wait_for_timeout(2000)
    page.screenshot(path=pictures / "shared.png")
    assert page.evaluate("window.ran") is None
    if server.host.version != "2024-03":  # which is older than lines on nodes
        line = page.get_by_text("and this is another checkpoint").first.inner_text()
        assert line.startswith("shared & sent_00001_.safetensors was tuned on ‹img src=x")
        assert len(line) < 300


def test_the_page_finds_our_help_and_our_translations(server):
    page = requests.get(f"{server.address}/extensions/comfyui-imagic/docs/ImagicPickEdit.md", timeout=30)
    assert page.text.startswith("# Imagic Pick Edit")
    known = requests.get(f"{server.address}/i18n", timeout=30)
    if not (server.host.path / "app" / "custom_node_manager.py").is_file():
        assert known.status_code == 404  # older than translations
        return
    known = known.json()
    assert known["de"]["nodeDefs"]["ImagicPickEdit"]["display_name"] == "Imagic Bearbeitung auswählen"
