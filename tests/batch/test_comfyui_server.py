"""What a ComfyUI server answers, and when it is given up: against a stand-in that answers over HTTP as servers do."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from imagic.batch.editor import NoWorker, encode
from imagic.batch.engines import comfyui
from imagic.batch.engines.comfyui_server import Refused, Server
from imagic.batch.engines.workflow import Workflow
from imagic.batch.manifest import Row
from imagic.batch.results import FAILED

from . import world

GRAPH = {"8": {"class_type": "SaveImage", "inputs": {}}, "9": {"class_type": "Missing", "inputs": {}}}
MISSING = {
    "type": "missing_node_type",
    "message": "Node 'Missing' not found. The custom node may not be installed.",
    "details": "Node ID '#9'",
    "extra_info": {},
}
NO_OUTPUTS = {"type": "prompt_no_outputs", "message": "Prompt has no outputs", "details": "", "extra_info": {}}
PROBLEM = {"message": "Required input is missing", "details": "images"}
NODE_ERRORS = {"8": {"errors": [PROBLEM], "dependent_outputs": ["8"], "class_type": "SaveImage"}}


@pytest.fixture
def serve():
    """Starts servers that answer as a function says: `answer(path)` gives a status and what is sent as JSON, or
    bytes."""
    running = []

    def start(answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = answer(self.path.partition("?")[0].strip("/"))
                content = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "reply", "sentence"),
    [
        (400, {"error": MISSING, "node_errors": {}}, f"{MISSING['message']}: Node ID '#9'"),
        (400, {"error": NO_OUTPUTS, "node_errors": []}, "Prompt has no outputs"),
        (400, {"error": "invalid prompt", "node_errors": {}}, "The server refused the workflow: invalid prompt"),
        (400, {"error": NO_OUTPUTS, "node_errors": NODE_ERRORS}, "SaveImage (8): Required input is missing: images"),
        (200, {"prompt_id": "1", "node_errors": NODE_ERRORS}, "SaveImage (8): Required input is missing: images"),
        (500, b"500 Internal Server Error", "{address} fails at the workflow: see that it has all of its nodes."),
    ],
)
def test_a_graph_that_is_refused(serve, status, reply, sentence):
    """As ComfyUI answers in its versions 0.33, 0.3.64 and of March 2024."""
    server = Server(serve(lambda path: (status, reply)))
    with pytest.raises(Refused) as refused:
        server.queue(GRAPH)
    assert str(refused.value) == sentence.format(address=server.address)


PICTURE = encode(Image.new("RGB", (8, 8)), "a.png")


class Restarted:
    """A server that is away for a while in the middle of its first row, and does the row when it is back."""

    def __init__(self, row: float, away: float):
        self._begin, self._row, self._away = time.monotonic(), row, away
        self.queued, self.content = 0, PICTURE

    def __call__(self, path: str):
        now = time.monotonic() - self._begin
        if self._row < now < self._row + self._away:
            return 503, {}
        if path == "prompt":
            self.queued += 1
            return 200, {"prompt_id": str(self.queued)}
        if path == "queue":
            return 200, {"queue_running": [[0, str(self.queued)]], "queue_pending": []}
        if path.startswith("history"):
            outputs = {"8": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}
            return 200, {path.partition("/")[2]: {"outputs": outputs}} if now > self._row else {}
        return 200, self.content if path == "view" else {}


@pytest.fixture
def units(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    return [[Row(1, "photo.png", "a blue dog", output="a.png")]]


def done(units, folder, address) -> list:
    workflow = Workflow(world.workflow(folder / "workflow.json"), [world.RULES[1]])
    return list(comfyui.run(iter(units), workflow, folder, [address]))


def test_a_server_may_come_back_however_long_its_row_took(serve, units, tmp_path, monkeypatch):
    monkeypatch.setattr(comfyui, "PATIENCE", 0.6)
    server = Restarted(row=1.0, away=0.5)
    (finished,) = done(units, tmp_path, serve(server))
    assert finished.files == {"a.png": PICTURE}
    assert server.queued == 2


@pytest.mark.parametrize("content", [b"", b"no picture", PICTURE[:30]])
def test_what_is_no_picture_is_not_done(serve, units, tmp_path, content):
    server = Restarted(row=0.0, away=0.0)
    server.content = content
    (finished,) = done(units, tmp_path, serve(server))
    assert finished.result.status == FAILED
    assert finished.result.error == "output a.png is no picture that can be read: convert it to PNG or JPEG."
    assert not finished.files


def test_a_server_that_stays_away_ends_the_run(serve, units, tmp_path, monkeypatch):
    monkeypatch.setattr(comfyui, "PATIENCE", 0.3)
    with pytest.raises(NoWorker, match=r"No other server does: start one, and run the same command again\."):
        done(units, tmp_path, serve(Restarted(row=0.3, away=60)))
