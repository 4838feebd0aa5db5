"""What a graph is doing, told in the terminal while it runs."""

from __future__ import annotations

import sys
import time

from scripts.client import Event, Graph

SECONDS_BETWEEN_LINES = 10  # where lines can't be overwritten, as in a log


class Progress:
    """Takes a client's events; prints a line a stage and keeps the seconds that each node took."""

    def __init__(self, graph: Graph):
        self.seconds: dict[str, float] = {}
        self._titles = {name: content["_meta"]["title"] for name, content in graph.items()}
        self._node: str | None = None
        self._since = 0.0
        self._steps = ""
        self._printed = 0.0
        self._live = sys.stdout.isatty()

    def __call__(self, event: Event) -> None:
        if event.type == "executing":
            self._finish(event.time)
            self._node, self._since = event.data["node"], event.time
            self._steps = ""
        elif event.type == "progress":
            self._steps = f"{event.data['value']:.0f}/{event.data['max']:.0f}"
            now = time.monotonic()
            if self._live or now - self._printed > SECONDS_BETWEEN_LINES:
                self._print(event.time - self._since)
                self._printed = now

    def _finish(self, now: float) -> None:
        if self._node is None:
            return
        seconds = now - self._since
        self.seconds[self._node] = self.seconds.get(self._node, 0.0) + seconds
        if self._steps:
            self._print(seconds, end="\n")

    def _print(self, seconds: float, end: str = "") -> None:
        start, end = ("\r\033[K", end) if self._live else ("", "\n")
        print(f"{start}  {self._titles[self._node]:32} step {self._steps:>9} {seconds:7.1f} s", end=end, flush=True)
