"""What a user does on the host's page, and sees there."""

import json
import time
from pathlib import Path

import requests

from scripts import hosts, workflow

NAMES = sorted(path.stem for path in workflow.FOLDER.glob("*.json"))
# The same on every frontend since 2023.
APP = "const app = window.app;"


def folder_of(server) -> Path:
    folder = hosts.ROOT / "build" / f"browser-{server.host.version}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_workflow(page, opened: dict) -> None:
    page.evaluate(f"async (workflow) => {{ {APP} await app.loadGraphData(workflow) }}", opened)


def open_template(page, server, name: str) -> None:
    """As a user does: by the template browser; hosts from before there was one are given the file."""
    templates = requests.get(f"{server.address}/workflow_templates", timeout=30)
    if not templates.ok:
        open_workflow(page, read(name))
        return
    page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text("comfyui-imagic", exact=True).first.click(no_wait_after=True)
    card = page.get_by_test_id(f"template-workflow-{name}").first
    card.wait_for(state="visible")
    if name == NAMES[0]:
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        page.screenshot(path=folder_of(server) / "templates.png")
    card.click(no_wait_after=True)
    kinds = sorted(node["class_type"] for node in workflow.load(name).values())
    page.wait_for_function(
        """(kinds) => { const open = app.graph._nodes.map((node) => node.type);
            return kinds.every((kind) => open.includes(kind)) && open.length >= kinds.length }""",
        arg=kinds,
    )


def as_drawn(page, opened: dict) -> dict:
    """The workflow with positions and sizes of the nodes as the page has them."""
    found = page.evaluate(
        "Object.fromEntries(app.graph._nodes.map((node) => [node.id, [[...node.pos], [...node.size]]]))"
    )
    nodes = [dict(node, pos=found[str(node["id"])][0], size=found[str(node["id"])][1]) for node in opened["nodes"]]
    return {**opened, "nodes": nodes}


def show_all(page) -> None:
    """Zoom out until every group is seen."""
    page.evaluate("""() => { const canvas = app.canvas, sides = app.graph._groups.map(({pos, size}) =>
            [pos[0], pos[1], pos[0] + size[0], pos[1] + size[1]]);
        const side = (place, pick) => pick(...sides.map((box) => box[place]));
        const left = side(0, Math.min), top = side(1, Math.min);
        const scale = Math.min(1480 / (side(2, Math.max) - left), 800 / (side(3, Math.max) - top));
        canvas.ds.scale = scale;
        canvas.ds.offset = [90 / scale - left, 70 / scale - top];
        app.graph.setDirtyCanvas(true, true) }""")


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


def press_cancel(page) -> None:
    """The red button of the newer frontends, or Cancel in the list of what runs."""
    newer = (
        page.get_by_role("button", name="Cancel current run").or_(page.get_by_role("button", name="Interrupt")).first
    )
    if not newer.is_visible():
        page.locator("#comfy-view-queue-button:visible").first.click(no_wait_after=True)
        newer = page.get_by_role("button", name="Cancel").first
    newer.click(no_wait_after=True)


def look_at(page, node_id: int) -> None:
    """Bring a node into the middle of the page, in its full size."""
    page.evaluate(
        "(id) => { app.canvas.ds.scale = 1; app.canvas.centerOnNode(app.graph.getNodeById(id)) }",
        node_id,
    )
    page.wait_for_timeout(500)


def finished(server) -> list[dict]:
    """What ran or was ended, the oldest first."""
    return list(requests.get(f"{server.address}/history", timeout=30).json().values())


def said_on(page, node_id: int) -> str:
    """What stands on a node, its widgets and the line that it was sent."""
    return page.evaluate("(id) => app.graph.getNodeById(id).widgets.map((each) => `${each.value}`).join(' ')", node_id)


def wait_until(true, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.25)


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
