"""A ComfyUI server as its HTTP interface has it: upload, queue, ask, fetch. Standard library only."""

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from ...checks import one_line, shown
from ..results import LONGEST

SECONDS = 30  # that a server may take to answer

# What of the answers is read, see `_fits`.
STATS = {"system": dict}
QUEUED, NOT_QUEUED = {"prompt_id": str}, {"error": dict | str}
NODE_ERRORS = {...: {"class_type": str, "errors": [{"message": object, "details": object}]}}
QUEUE = {"queue_running": [(object, str)], "queue_pending": [(object, str)]}
ENTRY = {"outputs": dict, "status?": {"messages?": [(str, dict)]}}
NODE_FAILED = {"node_type": str, "exception_message": str}
PICTURES = {"images?": [{"filename": str}]}


class Gone(ConnectionError):
    """A server that does not answer, or has forgotten what it was asked to do."""


class Refused(ValueError):
    """A server's or a node's complaint about a graph."""


@dataclass
class Server:
    """One server. Any of its methods raises Gone if it does not answer, or not as ComfyUI does.

    Args:
        address: as `address_of` takes it.
    """

    address: str
    _client: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.address = address_of(self.address)
        # Servers are near: what goes out to the world has no business in between.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def check(self) -> None:
        """Raises Gone unless it answers."""
        self._json("system_stats", STATS)

    def upload(self, name: str, content: bytes, place: str) -> None:
        """Put a picture into its folder "input" or "temp"."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in {"type": place, "overwrite": "true"}.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = b"".join([*parts, head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
        self._ask("upload/image", body, f"multipart/form-data; boundary={boundary}")

    def queue(self, graph: dict[str, Any]) -> str:
        """Queue a graph and return its id.

        Raises:
            Refused: the server says what is wrong with the graph.
        """
        reply = self._json("prompt", dict, {"prompt": graph, "client_id": self._client})
        self._expect("prompt", reply, QUEUED if "prompt_id" in reply else NOT_QUEUED)
        if errors := reply.get("node_errors"):  # where there are none it may be a list
            self._expect("prompt", errors, NODE_ERRORS)
        if "prompt_id" not in reply or errors:
            raise Refused(_complaint(reply))
        return reply["prompt_id"]

    def outcome(self, prompt: str, node: str) -> list[dict[str, str]] | None:
        """What became of a graph: the pictures that a node put out; None as long as it is not over.

        Raises:
            Refused: a node raised; the sentence is the node's own.
        """
        path = f"history/{prompt}"
        entry = self._json(path, {f"{prompt}?": ENTRY}).get(prompt)
        if entry is None:
            return None
        for kind, data, *_ in (entry.get("status") or {}).get("messages") or ():
            if kind == "execution_error":
                self._expect(path, data, NODE_FAILED)
                raise Refused(f"{data['node_type']}: {one_line(data['exception_message'], LONGEST)}")
            if kind == "execution_interrupted":
                raise Refused("Somebody cancelled it at the server: run the same command again.")
        self._expect(path, entry["outputs"], {f"{node}?": PICTURES})
        return (entry["outputs"].get(node) or {}).get("images") or []

    def knows(self, prompt: str) -> bool:
        """Whether a graph waits or runs."""
        queue = self._json("queue", QUEUE)
        return any(item[1] == prompt for kind in ("queue_running", "queue_pending") for item in queue[kind])

    def view(self, image: dict[str, str]) -> bytes:
        """A picture that a graph put out."""
        return self._ask(f"view?{urllib.parse.urlencode(image)}")

    def cancel(self, prompt: str) -> None:
        """Take a graph from the queue, or stop it where it runs."""
        self._post("queue", {"delete": [prompt]})
        if any(item[1] == prompt for item in self._json("queue", QUEUE)["queue_running"]):
            self._post("interrupt", {"prompt_id": prompt})

    def _json(self, path: str, shape: Any, content: Any = None) -> Any:
        """What it answers, of a shape as `_fits` has it. This is the one way in for what a server says."""
        reply = self._ask(path) if content is None else self._post(path, content)
        try:
            answer = json.loads(reply)
        except (ValueError, RecursionError):
            raise Gone(f"{self.address} is no ComfyUI: what it answers to {_what(path)} is no JSON.") from None
        return self._expect(path, answer, shape)

    def _expect(self, path: str, answer: Any, shape: Any) -> Any:
        if not _fits(answer, shape):
            raise Gone(f"{self.address} is no ComfyUI: it answers {_what(path)} in another form.")
        return answer

    def _post(self, path: str, content: Any) -> bytes:
        return self._ask(path, json.dumps(content).encode(), "application/json")

    def _ask(self, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        try:
            request = urllib.request.Request(f"{self.address}/{path}", body, {"Content-Type": kind} if body else {})
            try:
                with self._opener.open(request, timeout=SECONDS) as reply:
                    return reply.read()
            except urllib.error.HTTPError as error:
                code, content = error.code, error.read()
        # ValueError: of an id that no address can hold. The others: of connections that break.
        except (OSError, ValueError, HTTPException) as error:
            raise Gone(f"{self.address} does not answer ({one_line(str(error), LONGEST)}).") from None
        if path == "prompt" and code == 400:  # the complaints of a graph that is not queued
            return content
        if path == "prompt" and code == 500:  # as the servers of before mid-2024 do where a node is missing
            raise Refused(f"{self.address} fails at the workflow: see that it has all of its nodes.")
        raise Gone(f"{self.address} answers {_what(path)} with {code}.")


def address_of(text: str) -> str:
    """A server's address; of one that is near, HOST:PORT is enough.

    Raises:
        ValueError: it is none.
    """
    address = text if "://" in text else f"http://{text}"
    try:
        parts = urllib.parse.urlsplit(address)
        named = parts.hostname and (parts.port or "://" in text)
    except ValueError:  # of a port that is none
        named = None
    if not named or parts.scheme not in ("http", "https") or set(address) & set("?#@ ") or not address.isprintable():
        raise ValueError(f"--servers has {shown(text)}, no server's address: write http://127.0.0.1:8188, say.")
    return address.rstrip("/")


def _fits(answer: Any, shape: Any) -> bool:
    """Whether an answer has a shape: a type; [shape], a list of such; (shape, shape), a list that begins so; or a dict
    with the shapes of its keys. With "?" a key may be missing, or be null; ... stands for every key."""
    if isinstance(shape, list):
        return isinstance(answer, list) and all(_fits(value, shape[0]) for value in answer)
    if isinstance(shape, tuple):
        return isinstance(answer, list) and len(answer) >= len(shape) and all(map(_fits, answer, shape))
    if not isinstance(shape, dict):
        return isinstance(answer, shape)
    if not isinstance(answer, dict):
        return False
    if ... in shape:
        return all(_fits(value, shape[...]) for value in answer.values())
    for key, part in shape.items():
        name = key.removesuffix("?")
        if not (name != key and answer.get(name) is None) and not (name in answer and _fits(answer[name], part)):
            return False
    return True


def _what(path: str) -> str:
    """What a sentence calls a question."""
    return path.partition("?")[0].partition("/")[0]


def _complaint(reply: dict[str, Any]) -> str:
    """A server's reasons in one line: those about nodes, or else the one about the graph as a whole."""
    reasons = [
        f"{report['class_type']} ({node}): {problem['message']}: {problem['details']}"
        for node, report in (reply.get("node_errors") or {}).items()
        for problem in report["errors"]
    ]
    return one_line("; ".join(reasons) or _whole(reply.get("error")), LONGEST)


def _whole(error: Any) -> str:
    """What is wrong with a graph as a whole, a missing node for instance. Some servers' answer is a text alone."""
    if not isinstance(error, dict):
        return f"The server refused the workflow: {error or 'it does not say why'}"
    return ": ".join(text for name in ("message", "details") if (text := str(error.get(name) or "")))
