"""Talk to a running ComfyUI over HTTP and its websocket, as its own web page does."""

from __future__ import annotations

import json
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import websocket

Graph = dict[str, dict[str, Any]]
PREVIEW_IMAGE = 1  # the one binary message of interest; then come a format number and the picture
PREVIEW_FORMATS = {1: "jpeg", 2: "png"}


class ClientError(RuntimeError):
    """The host refused something or could not be talked to."""


class Rejected(ClientError):
    """The host would not queue the graph; the message has each node's complaint."""


@dataclass(frozen=True)
class Event:
    """A message of the host about the graph at work. `preview` is of our making: its data is {format, image}."""

    type: str
    data: dict[str, Any]
    time: float


@dataclass(frozen=True)
class Run:
    """A graph that ran."""

    prompt_id: str
    events: list[Event]
    outputs: dict[str, dict[str, list]]

    @property
    def ran(self) -> list[str]:
        """The nodes that did run, in order; those whose result was cached are not among them."""
        return [event.data["node"] for event in self.events if event.type == "executing" and event.data["node"]]


class RunError(ClientError):
    """A graph that ran but not to its end."""

    def __init__(self, message: str, events: list[Event]):
        super().__init__(message)
        self.events = events


class NodeError(RunError):
    """A node raised. The message is the node's own."""

    def __init__(self, data: dict[str, Any], events: list[Event]):
        super().__init__(data["exception_message"].strip(), events)
        self.node_id = data["node_id"]
        self.node_type = data["node_type"]
        self.traceback = "".join(data["traceback"])


class Interrupted(RunError):
    """Somebody pressed Cancel."""


class Client:
    """One connection to a host; `with` closes it."""

    def __init__(self, address: str):
        self.address = address
        self._id = uuid.uuid4().hex
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy has no business between us and this machine
        self._socket = websocket.create_connection(
            f"{address.replace('http', 'ws', 1)}/ws?clientId={self._id}", timeout=30, http_no_proxy=["*"]
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_) -> None:
        self._socket.close()
        self._http.close()

    def upload_image(self, path: Path, name: str | None = None) -> str:
        """Put a picture into the host's input folder; returns what a Load Image node calls it."""
        with path.open("rb") as file:
            files = {"image": (name or path.name, file)}
            return self._request("POST", "upload/image", files=files, data={"overwrite": "true"}).json()["name"]

    def queue(self, graph: Graph) -> str:
        """Queue an API-format graph; returns its prompt id."""
        response = self._http.post(f"{self.address}/prompt", json={"prompt": graph, "client_id": self._id}, timeout=60)
        reply = response.json()
        if not response.ok or reply["node_errors"]:
            raise Rejected(_complaints(reply, graph))
        return reply["prompt_id"]

    def wait(self, prompt_id: str, on_event: Callable[[Event], None] | None = None, timeout: float = 900) -> Run:
        """Follow a queued graph to its end. Raises NodeError or Interrupted if that comes early."""
        events: list[Event] = []
        for event in self._events(prompt_id, time.monotonic() + timeout):
            events.append(event)
            if on_event:
                on_event(event)
        for event in events:
            if event.type == "execution_error":
                raise NodeError(event.data, events)
            if event.type == "execution_interrupted":
                raise Interrupted(f"interrupted in {event.data['node_type']}", events)
        return Run(prompt_id, events, self.history(prompt_id)["outputs"])

    def run(self, graph: Graph, on_event: Callable[[Event], None] | None = None, timeout: float = 900) -> Run:
        """Queue a graph and follow it to its end."""
        return self.wait(self.queue(graph), on_event, timeout)

    def history(self, prompt_id: str) -> dict[str, Any]:
        """What the host keeps of a graph that ran."""
        return self._request("GET", f"history/{prompt_id}").json()[prompt_id]

    def view(self, image: dict[str, str]) -> bytes:
        """A picture among a run's outputs, as the file's bytes."""
        return self._request("GET", "view", params=image).content

    def interrupt(self) -> None:
        """Press Cancel."""
        self._request("POST", "interrupt")

    def object_info(self) -> dict[str, dict[str, Any]]:
        """Every node the host knows, with its inputs and outputs."""
        return self._request("GET", "object_info").json()

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        response = self._http.request(method, f"{self.address}/{path}", timeout=60, **options)
        if not response.ok:
            raise ClientError(f"the host answered {method} {path} with {response.status_code}: {response.text[:300]}")
        return response

    def _events(self, prompt_id: str, deadline: float) -> Iterator[Event]:
        """Messages about one prompt, up to the one that every host since 2023 closes with: executing no node."""
        while True:
            event = self._receive(deadline)
            if event is None or event.data.get("prompt_id", prompt_id) != prompt_id:
                continue
            yield event
            if event.type == "executing" and event.data["node"] is None:
                return

    def _receive(self, deadline: float) -> Event | None:
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            message = self._socket.recv()
        except websocket.WebSocketTimeoutException as error:
            raise ClientError("the graph took longer than allowed") from error
        except (websocket.WebSocketException, OSError) as error:
            raise ClientError(f"the host closed the connection: {error}") from error
        if not message:
            raise ClientError("the host closed the connection")
        if isinstance(message, str):
            content = json.loads(message)
            return Event(content["type"], content["data"], time.monotonic())
        kind, form = struct.unpack_from(">II", message)
        if kind != PREVIEW_IMAGE:
            return None
        return Event("preview", {"format": PREVIEW_FORMATS[form], "image": message[8:]}, time.monotonic())


def _complaints(reply: dict[str, Any], graph: Graph) -> str:
    """The host's reasons, a line a node."""
    lines = [
        f"{graph[node]['class_type']} ({node}): {problem['message']}: {problem['details']}"
        for node, report in reply["node_errors"].items()
        for problem in report["errors"]
    ]
    error = reply.get("error")
    return "\n".join(lines) or (error if isinstance(error, str) else f"{error['message']}: {error['details']}")
