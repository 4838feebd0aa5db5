"""The pack in the host's own web page, in a headless Chromium. Screenshots go to build/browser-<version>/."""

import json

import pytest
import requests
from playwright.sync_api import sync_playwright

from scripts import browser, hosts, workflow
from scripts.client import Client

NAMES = sorted(path.stem for path in workflow.FOLDER.glob("*.json"))
MILLISECONDS = 180_000  # a page that draws without a GPU, on a machine that also trains
# The same on every frontend since 2023.
APP = "const app = window.app;"


@pytest.fixture(scope="module")
def pictures(server):
    folder = hosts.ROOT / "build" / f"browser-{server.host.version}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def page(server):
    """The host's page, loaded as by a user who has been here before."""
    requests.post(f"{server.address}/settings", json={"Comfy.TutorialCompleted": True}, timeout=30)
    with Client(server.address) as client:
        client.upload_image(workflow.PHOTO)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=list(browser.FLAGS))
        tab = chromium.new_page(viewport={"width": 1600, "height": 900})
        tab.set_default_timeout(MILLISECONDS)
        tab.goto(server.address, wait_until="domcontentloaded")
        # Newer frontends put `app` there before it is whole.
        tab.wait_for_function(
            "window.app?.graph && (!window.comfyAPI || app.extensionManager?.workflow?.activeWorkflow)"
        )
        yield tab
        chromium.close()


def open_workflow(page, opened: dict) -> None:
    page.evaluate(f"async (workflow) => {{ {APP} await app.loadGraphData(workflow) }}", opened)


def queued_graph(page) -> dict:
    """What the page would queue, without titles and the upload button that some frontends add."""
    graph = page.evaluate(f"async () => {{ {APP} return (await app.graphToPrompt()).output }}")
    for node in graph.values():
        node["inputs"].pop("upload", None)
    return {name: {"class_type": node["class_type"], "inputs": node["inputs"]} for name, node in graph.items()}


def set_widgets(page, node_id: int, **values) -> None:
    script = f"""async ([id, values]) => {{ {APP}
        for (const widget of app.graph.getNodeById(id).widgets)
            if (widget.name in values) widget.value = values[widget.name];
    }}"""
    page.evaluate(script, [node_id, values])


def press_run(page) -> None:
    """The button of the newer frontends, or of the older ones."""
    button = page.locator("[data-testid='queue-button']:visible, #queue-button:visible").first
    button.click(no_wait_after=True)


def read(name: str) -> dict:
    return json.loads((workflow.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def ids() -> dict[str, int]:
    """Of the nodes in the workflow with the pick, by title."""
    return {node["_meta"]["title"]: int(name) for name, node in workflow.load("imagic_pick_eta").items()}


def shortened(page) -> None:
    """The workflow with the pick, in seconds instead of minutes."""
    open_workflow(page, read("imagic_pick_eta"))
    set_widgets(page, ids()["A: optimize the embedding"], steps=3, samples=1)
    set_widgets(page, ids()["B: tune the model"], steps=3, samples=1)
    set_widgets(page, ids()["C: a sweep of eta"], sweep="0, 1")
    set_widgets(page, ids()["Sample each eta"], steps=2)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_makes_of_each_workflow_the_graph_beside_it(page, server, pictures, name):
    templates = requests.get(f"{server.address}/workflow_templates", timeout=30)
    if templates.ok:  # hosts before the template browser are given the file by the user
        assert name in templates.json()["comfyui-imagic"]
        opened = requests.get(f"{server.address}/api/workflow_templates/comfyui-imagic/{name}.json", timeout=30).json()
    else:
        opened = read(name)
    open_workflow(page, opened)
    expected = workflow.load(name)
    assert queued_graph(page) == {
        number: {"class_type": node["class_type"], "inputs": node["inputs"]} for number, node in expected.items()
    }
    page.evaluate(f"async () => {{ {APP} app.canvas.ds.scale = 0.42; app.canvas.ds.offset = [60, 300];"
                  " app.graph.setDirtyCanvas(true, true) }")  # fmt: skip
    page.wait_for_timeout(1500)
    page.screenshot(path=pictures / f"{name}.png")


def test_the_button_runs_it_and_the_pictures_appear_on_the_nodes(page, server, pictures):
    shortened(page)
    press_run(page)
    page.wait_for_function("Object.keys(window.app.nodeOutputs ?? {}).length >= 5", polling=1000)
    page.wait_for_timeout(3000)
    page.screenshot(path=pictures / "ran.png")
    history = requests.get(f"{server.address}/history", timeout=30).json()
    outputs = list(history.values())[-1]["outputs"]
    for title in ("The sheet", "The edit"):
        assert len(outputs[str(ids()[title])]["images"]) == 1


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


def test_the_page_finds_our_help_and_our_translations(server):
    page = requests.get(f"{server.address}/extensions/comfyui-imagic/docs/ImagicPickEdit.md", timeout=30)
    assert page.text.startswith("# Imagic Pick Edit")
    known = requests.get(f"{server.address}/i18n", timeout=30)
    if not (server.host.path / "app" / "custom_node_manager.py").is_file():
        assert known.status_code == 404  # older than translations
        return
    known = known.json()
    assert known["de"]["nodeDefs"]["ImagicPickEdit"]["display_name"] == "Imagic Bearbeitung auswählen"
