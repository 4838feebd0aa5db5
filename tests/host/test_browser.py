"""The pack in the host's own web page, in a headless Chromium. Screenshots go to build/browser-<version>/."""

import re

import pytest
import requests
from playwright.sync_api import sync_playwright

from imagic import edit_file
from scripts import browser, workflow

from .webpage import (
    APP,
    drawn,
    drop_first_hit,
    finished,
    folder_of,
    ids,
    look_at,
    open_template,
    open_workflow,
    overlapping,
    press_cancel,
    press_run,
    queued_graph,
    said_on,
    set_widgets,
    shorten,
    shortened,
    wait_until,
    zoom,
)

LEAST_ZOOM = 0.7  # of a template as it opens

OF_THE_HOST = re.compile(r"/templates/[^/]*\.(webp|png|jpe?g|gif)(\?.*)?$")
MILLISECONDS = 180_000  # a page that draws without a GPU, on a machine that also trains


@pytest.fixture(scope="module")
def pictures(server):
    return folder_of(server)


@pytest.fixture(scope="module")
def page(server):
    """The host's page, loaded as by a user who has been here before."""
    been = {"Comfy.TutorialCompleted": True, "Comfy.OnboardingCoachmarks.Seen": ["appMode", "firstRun"]}
    requests.post(f"{server.address}/settings", json=been, timeout=30)
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


@pytest.fixture
def newest(server):
    """Where the page knows nodes made of nodes, and apps."""
    if server.host.version in ("0.3.64", "2024-03"):
        pytest.skip("this page is older than nodes made of nodes, and than apps")


@pytest.mark.parametrize("title", workflow.TITLES)
def test_a_template_opens_large_enough_to_read_and_queues_what_its_file_says(page, server, pictures, experience, title):
    known = requests.get(f"{server.address}/object_info", timeout=60).json()
    if title != workflow.FLAT and "ComfySwitchNode" not in known:
        assert server.host.version in ("0.3.64", "2024-03")
        pytest.skip("this page is older than nodes made of nodes; it has the template with every wire")
    open_template(page, server, title)
    expected = workflow.queued(workflow.template(title), known)
    assert queued_graph(page) == {
        number: {"class_type": node["class_type"], "inputs": node["inputs"]} for number, node in expected.items()
    }
    if server.host.version != "2024-03":  # which opens at the zoom that was there
        found = zoom(page)
        experience.setdefault("templates", {}).setdefault(title, {})["zoom"] = round(found, 2)
        assert found >= LEAST_ZOOM or server.host.version == "0.3.64"
    drawn(page)
    page.screenshot(path=pictures / f"{title}.png")


@pytest.mark.usefixtures("newest")
def test_search_finds_the_node_and_dropped_on_an_empty_page_it_edits(page, server, client, pictures, experience):
    page.evaluate(f"async () => {{ {APP} await app.loadGraphData({{nodes: [], links: [], version: 0.4}}) }}")
    name = "Edit a photo by one sentence (Imagic)"
    first = drop_first_hit(page, "edit photo", pictures / "search.png")
    experience["blueprint_first_hit"] = name in first
    assert name in first
    photo = client.upload_image(workflow.PHOTO)
    page.evaluate(
        f"""(photo) => {{ {APP}
            const edit = app.graph._nodes[0], add = (kind, left, top) => {{
                const node = LiteGraph.createNode(kind);
                node.pos = [left, top];
                app.graph.add(node);
                return node;
            }};
            edit.pos = [400, 0];
            const image = add("LoadImage", 0, 200), model = add("ImagicDemoCheckpoint", 0, 0);
            const preview = add("PreviewImage", 900, 0);
            image.widgets.find(({{name}}) => name === "image").value = photo;
            edit.widgets.find(({{name}}) => name === "size").value = 128;
            image.connect(0, edit, "photo");
            ["model", "clip", "vae"].forEach((name, slot) => model.connect(slot, edit, name));
            edit.connect(0, preview, 0);
        }}""",
        photo,
    )
    shorten(page)
    before = len(finished(server))
    press_run(page)
    wait_until(lambda: len(finished(server)) > before, 180)
    page.wait_for_timeout(1500)
    page.evaluate("app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    drawn(page)
    page.screenshot(path=pictures / "dropped.png")
    outputs = finished(server)[-1]["outputs"]
    preview = page.evaluate("app.graph._nodes.find(({type}) => type === 'PreviewImage').id")
    assert len(outputs[str(preview)]["images"]) == 1


@pytest.mark.usefixtures("newest")
def test_the_app_opens_as_an_app_runs_and_shows_before_and_after(page, server, pictures, experience):
    open_template(page, server, "Edit a photo with the demo model.app")
    panel = page.get_by_test_id("linear-run-button")
    panel.wait_for(state="visible")
    shown = page.get_by_test_id("app-mode-widget-item").all_inner_texts()
    labels = [text.split("\n")[0] for text in shown]
    experience["app_opens"] = labels[:5] == [
        "your photo",
        "what the finished photo shows",
        "strength",
        "keep",
        "before and after",
    ]
    assert experience["app_opens"], labels
    shorten(page)
    before = len(finished(server))
    panel.get_by_role("button", name="Run").last.click(no_wait_after=True)
    wait_until(lambda: len(finished(server)) > before, 180)
    both_are_seen(page)
    page.get_by_text(re.compile(r"edit_\d+_\.png")).first.wait_for(state="visible")
    page.screenshot(path=pictures / "app.png")
    # The same on the graph's own page, with the newer look of nodes, which the slider needs.
    page.evaluate("app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)")
    page.evaluate("app.extensionManager.command.execute('Comfy.ToggleLinear')")
    try:
        both_are_seen(page)
        page.wait_for_timeout(1500)
        page.screenshot(path=pictures / "compared.png")
    finally:
        page.evaluate("app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")


def both_are_seen(page) -> None:
    """The slider shows two pictures, and both have arrived."""
    slider = page.get_by_test_id("image-compare-viewport").first
    slider.wait_for(state="visible")
    slider.scroll_into_view_if_needed()
    page.wait_for_function(
        """() => { const two = [...document.querySelectorAll("[data-testid='image-compare-viewport'] img")];
            return two.length === 2 && two[0].src !== two[1].src && two.every((image) => image.naturalWidth > 0) }"""
    )


def test_the_button_runs_it_and_the_pictures_appear_on_the_nodes(page, server, pictures):
    shortened(page)
    press_run(page)
    wait_until(lambda: finished(server), 180)
    page.wait_for_function("(id) => window.app.nodeOutputs?.[id]", arg=str(ids()["Before and after"]), polling=500)
    page.wait_for_timeout(2500)
    page.screenshot(path=pictures / "ran.png")
    if server.host.version != "2024-03":  # where nodes grow otherwise
        assert overlapping(page) == []  # nodes grow to show pictures
    outputs = finished(server)[-1]["outputs"]
    for title in ("The edit", "Before and after"):
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
    open_workflow(page, workflow.template(workflow.FLAT))
    look_at(page, ids()["Pick the edit"])
    page.evaluate("(id) => app.canvas.selectNode(app.graph.getNodeById(id))", ids()["Pick the edit"])
    page.get_by_test_id("info-button").first.click(no_wait_after=True)
    page.get_by_text("Finds the best strength for you").first.wait_for(state="visible")
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
