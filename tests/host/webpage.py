"""What a user does on the host's page, and sees there."""

import itertools
import time
from pathlib import Path

import requests

from scripts import hosts, workflow

# The same on every frontend since 2023.
APP = "const app = window.app;"
TITLE = 30  # height, in the editor's pixels


def folder_of(server) -> Path:
    folder = hosts.ROOT / "build" / f"browser-{server.host.version}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_workflow(page, opened: dict) -> None:
    page.evaluate(f"async (workflow) => {{ {APP} await app.loadGraphData(workflow) }}", opened)


def open_template(page, server, title: str) -> None:
    """As a user does: by the template browser; hosts from before there was one are given the file."""
    templates = requests.get(f"{server.address}/workflow_templates", timeout=30)
    opened = workflow.template(title)
    if not templates.ok:
        open_workflow(page, opened)
        return
    page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text("comfyui-imagic", exact=True).first.click(no_wait_after=True)
    card = page.get_by_test_id(f"template-workflow-{title}").first
    card.wait_for(state="visible")
    shot = folder_of(server) / "templates.png"
    if not shot.exists():
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        page.screenshot(path=shot)
    card.click(no_wait_after=True)
    page.wait_for_function(
        "(titles) => `${app.graph._nodes.map((node) => node.title).sort()}` === `${titles}`",
        arg=sorted(node["title"] for node in opened["nodes"]),
    )
    page.wait_for_timeout(500)  # for the page to fit what it opened


def drawn(page) -> None:
    """Wait for the page to show what it holds now."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def zoom(page) -> float:
    return page.evaluate("app.canvas.ds.scale")


def overlapping(page) -> list[tuple[str, str]]:
    """Titles of nodes that lie on each other as the page draws them."""
    boxes = page.evaluate("app.graph._nodes.map((node) => [node.title, ...node.pos, ...node.size])")
    return [
        (one, other)
        for (one, x, y, width, height), (other, x2, y2, width2, height2) in itertools.combinations(boxes, 2)
        if x < x2 + width2 and x2 < x + width and y - TITLE < y2 + height2 and y2 - TITLE < y + height
    ]


def queued_graph(page) -> dict:
    """What the page would queue, without titles and the upload button that some frontends add."""
    graph = page.evaluate(f"async () => {{ {APP} return (await app.graphToPrompt()).output }}")
    for node in graph.values():
        node["inputs"].pop("upload", None)
        if node["inputs"].get("winner") == 0:  # what the oldest page makes of a socket with nothing in it
            del node["inputs"]["winner"]
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


def shorten(page) -> None:
    """Steps and samples of all nodes, those inside nodes included, in seconds instead of minutes."""
    page.evaluate(f"""() => {{ {APP}
        const short = {{steps: 3, samples: 1}}, all = (nodes) => nodes.flatMap((node) =>
            [node, ...(node.subgraph ? all(node.subgraph._nodes ?? node.subgraph.nodes) : [])]);
        for (const node of all(app.graph._nodes))
            for (const widget of node.widgets ?? [])
                if (widget.name in short && !node.subgraph) widget.value = short[widget.name];
    }}""")


def drop_first_hit(page, words: str, shot: Path) -> str:
    """Search for a node, put the first one that is found on the page, and tell what it was."""
    page.evaluate("app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
    page.keyboard.type(words)
    first = page.get_by_test_id("result-item").first
    first.wait_for(state="visible")
    page.wait_for_timeout(1000)  # for the list to follow the typing
    page.screenshot(path=shot)
    text = first.inner_text()
    first.click(no_wait_after=True)
    page.wait_for_timeout(500)
    if not page.evaluate("app.graph._nodes.some((node) => !node.flags?.ghost)"):
        page.mouse.move(700, 500)
        page.mouse.click(700, 500)
    page.wait_for_function("app.graph._nodes.length === 1 && !app.graph._nodes[0].flags?.ghost")
    return text


def ids() -> dict[str, int]:
    """Of the nodes on the page with every wire, by title."""
    return {node["title"]: node["id"] for node in workflow.template(workflow.FLAT)["nodes"]}


def shortened(page) -> None:
    """The page with every wire, in seconds instead of minutes."""
    open_workflow(page, workflow.template(workflow.FLAT))
    set_widgets(page, ids()["A: optimize the embedding"], steps=3, samples=1)
    set_widgets(page, ids()["B: tune the model"], steps=3, samples=1)
    set_widgets(page, ids()["C: a sweep of eta"], sweep="0, 1")
    set_widgets(page, ids()["Sample each eta"], steps=2)
