"""What a ComfyUI server answers, and when it is given up: against a stand-in that answers over HTTP as servers do."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from imagic.batch.editor import NoWorker, encode
from imagic.batch.engines import comfyui
from imagic.batch.engines.comfyui_server import Gone, Refused, Server, address_of
from imagic.batch.engines.workflow import Workflow
from imagic.batch.manifest import Row
from imagic.batch.results import DONE, FAILED

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
BREAKS_OFF = b"of which one more byte is to come"


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
                self.send_header("Content-Length", str(len(content) + (content == BREAKS_OFF)))
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


ODD = [[], None, "x", 3, True, {}, {"1": None, "a": []}, [[]], [3], [{}], {"prompt_id": 3}, {"system": "x"}]
ODD += [
    {"error": 3},
    {"error": "x", "node_errors": None},
    {"error": "x", "node_errors": {"8": []}},
    {"prompt_id": "1", "node_errors": [1]},
    b"",
    b"<html>",
]
ODD += [{"prompt_id": "1", "node_errors": {"8": {"class_type": "A", "errors": [problem]}}} for problem in ("x", {})]
ODD += [{"1": entry} for entry in ([], "x", {}, {"outputs": []}, {"outputs": {"8": []}})]
ODD += [{"1": {"outputs": {"8": {"images": images}}}} for images in ("x", {}, [3], [{}], [{"filename": 3}])]
ODD += [{"1": {"outputs": {}, "status": {"messages": messages}}} for messages in ({}, [3], [[]], [["execution_error"]])]
ODD += [{"1": {"outputs": {}, "status": {"messages": [["execution_error", told]]}}} for told in (None, {}, {"a": 1})]
ODD += [{"queue_running": items, "queue_pending": []} for items in (None, "x", {}, [3], [[]], [[0]], [[0, 3]])]
ODD += [b"[" * 100_000]


@pytest.mark.parametrize("content", ODD, ids=lambda content: str(content)[:60])
def test_a_server_that_answers_oddly_is_gone(serve, content):
    """As another program at that port does, or a broken one. An entry that is not there yet is no oddity."""
    server = Server(serve(lambda path: (200, content)))
    told, refused = [], False
    for ask in (server.check, lambda: server.queue(GRAPH), lambda: server.outcome("1", "8"), lambda: server.knows("1")):
        try:
            assert ask() in (None, False, [])
        except Gone as gone:
            told.append(str(gone))
        except Refused:
            refused = True
    assert refused == (content == {"error": "x", "node_errors": None})
    assert len(told) >= 2
    for sentence in told:
        assert re.fullmatch(rf"{server.address} is no ComfyUI: [a-z _]+\.|.* is no JSON\.", sentence)


def test_what_other_nodes_put_out_does_not_matter(serve):
    entry = {"outputs": {"7": {"images": "x"}, "8": {"images": [{"filename": "a.png"}]}}, "status": None}
    assert Server(serve(lambda path: (200, {"1": entry}))).outcome("1", "8") == [{"filename": "a.png"}]


def test_an_error_that_breaks_off_is_a_server_that_is_gone(serve):
    address = serve(lambda path: (500, BREAKS_OFF))
    with pytest.raises(Gone, match=r"does not answer \("):
        Server(address).check()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188"),
        ("[::1]:8188", "http://[::1]:8188"),
        ("http://farm:80/", "http://farm:80"),
        ("https://farm.example/comfy", "https://farm.example/comfy"),
    ],
)
def test_addresses(text, address):
    assert address_of(text) == Server(text).address == address


@pytest.mark.parametrize(
    "text", ["x", "http://", "a:b", "a:99999", "ftp://a:1", "a b:1", "::1:1", "http://a?b", "a:1\n"]
)
def test_an_address_that_is_none_is_told_as_it_should_be(text):
    with pytest.raises(
        ValueError, match=r"^--servers has .*, no server's address: write http://127.0.0.1:8188, say\.$"
    ):
        address_of(text)


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
        return 200, self.content if path == "view" else {"system": {}}


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


def test_rows_that_a_broken_server_loses_are_done_by_another(serve, tmp_path):
    """It says that it is there, takes every row, and answers nothing that a ComfyUI would."""
    units = [[Row(number, "photo.png", "a blue dog", output=f"{number}.png")] for number in range(6)]
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    asked = []

    def broken(path: str):
        asked.append(path)
        return 200, {"system": {}, "prompt_id": 3}

    def slow(path: str):
        time.sleep(0.1 if path == "prompt" else 0)
        return good(path)

    good = Restarted(row=0.0, away=0.0)
    workflow = Workflow(world.workflow(tmp_path / "workflow.json"), [world.RULES[1]])
    finished = list(comfyui.run(iter(units), workflow, tmp_path, [serve(broken), serve(slow)]))
    assert [each.result.status for each in finished] == [DONE] * 6
    assert good.queued == 6
    assert "prompt" in asked
