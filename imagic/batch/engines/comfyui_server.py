"""A ComfyUI server as its HTTP interface has it: upload, queue, ask, fetch. Standard library only."""

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from ...checks import one_line
from ..results import LONGEST

SECONDS = 30  # that a server may take to answer


class Gone(ConnectionError):
    """A server that does not answer, or has forgotten what it was asked to do."""


class Refused(ValueError):
    """A server's or a node's complaint about a graph."""


@dataclass
class Server:
    """One server. Any of its methods raises Gone if it does not answer."""

    address: str
    _client: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.address = self.address.rstrip("/")
        # Servers are near: what goes out to the world has no business in between.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def check(self) -> None:
        """Raises Gone unless it answers."""
        self._json("system_stats")

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
        reply = self._json("prompt", {"prompt": graph, "client_id": self._client})
        if "prompt_id" not in reply or reply.get("node_errors"):
            raise Refused(_complaint(reply, graph))
        return reply["prompt_id"]

    def outcome(self, prompt: str) -> dict[str, Any] | None:
        """What became of a graph: its outputs by node; None as long as it is not over.

        Raises:
            Refused: a node raised; the sentence is the node's own.
        """
        entry = self._json(f"history/{prompt}").get(prompt)
        if entry is None:
            return None
        status = entry.get("status") or {}
        for kind, data in status.get("messages", []):
            if kind == "execution_error":
                raise Refused(f"{data['node_type']}: {one_line(data['exception_message'], LONGEST)}")
            if kind == "execution_interrupted":
                raise Refused("Somebody cancelled it at the server: run the same command again.")
        return entry["outputs"]

    def knows(self, prompt: str) -> bool:
        """Whether a graph waits or runs."""
        queue = self._json("queue")
        return any(item[1] == prompt for kind in ("queue_running", "queue_pending") for item in queue[kind])

    def view(self, image: dict[str, str]) -> bytes:
        """A picture that a graph put out."""
        return self._ask(f"view?{urllib.parse.urlencode(image)}")

    def cancel(self, prompt: str) -> None:
        """Take a graph from the queue, or stop it where it runs."""
        self._json("queue", {"delete": [prompt]})
        if any(item[1] == prompt for item in self._json("queue")["queue_running"]):
            self._json("interrupt", {"prompt_id": prompt})

    def _json(self, path: str, content: Any = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        reply = self._ask(path, body, "application/json")
        try:
            return json.loads(reply) if reply else {}
        except ValueError:
            raise Gone(f"{self.address} is no ComfyUI.") from None

    def _ask(self, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        request = urllib.request.Request(f"{self.address}/{path}", body, {"Content-Type": kind} if body else {})
        try:
            with self._opener.open(request, timeout=SECONDS) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            content = error.read()
            if path == "prompt" and error.code == 400:  # the complaints of a graph that is not queued
                return content
            if path == "prompt" and error.code == 500:  # as the servers of before mid-2024 do where a node is missing
                raise Refused(f"{self.address} fails at the workflow: see that it has all of its nodes.") from None
            raise Gone(f"{self.address} answers {path.partition('?')[0]} with {error.code}.") from None
        # ValueError: of an address that is none. The others: of connections that break.
        except (OSError, ValueError, HTTPException) as error:
            raise Gone(f"{self.address} does not answer ({one_line(str(error), LONGEST)}).") from None


def _complaint(reply: dict[str, Any], graph: dict[str, Any]) -> str:
    """A server's reasons in one line: those about nodes, or else the one about the graph as a whole."""
    reasons = [
        f"{graph[node]['class_type']} ({node}): {problem['message']}: {problem['details']}"
        for node, report in dict(reply.get("node_errors") or {}).items()  # a list where there are none
        for problem in report["errors"]
    ]
    return one_line("; ".join(reasons) or _whole(reply.get("error")), LONGEST)


def _whole(error: Any) -> str:
    """What is wrong with a graph as a whole, a missing node for instance. Some servers' answer is a text alone."""
    if not isinstance(error, dict):
        return f"The server refused the workflow: {error or 'it does not say why'}"
    return ": ".join(text for name in ("message", "details") if (text := str(error.get(name) or "")))
