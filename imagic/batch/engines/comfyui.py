"""The ComfyUI engine: a pool of servers, each given rows that use again what it has cached; one that dies gives its
rows back."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path, PureWindowsPath
from queue import Queue

from ..editor import Finished, NoWorker, encode, explain, failed, picture, read_file
from ..manifest import Row
from ..results import DONE, Result
from .comfyui_server import Gone, Server
from .workflow import Workflow

POLL = 0.05  # seconds between two questions whether a graph is over, at first; longer for long ones
AHEAD = 8  # units for each server from which it may choose
TRIES = 3  # of a row whose server was lost
PATIENCE = 60.0  # seconds in which a server may come back while there is no other


def run(units: Iterator[list[Row]], workflow: Workflow, folder: Path, addresses: Sequence[str]) -> Iterator[Finished]:
    """Run the workflow for each row on one of the servers.

    Args:
        units: rows that share a photo and a tuning.
        folder: of the manifest, beside which photos and masks are.
        addresses: of the servers, "http://127.0.0.1:8188" for instance, see `address_of`.

    Raises:
        NoWorker: none of the servers answers.
        ValueError: an address is none.
    """
    pool = _Pool(units, workflow, folder, [Server(address) for address in addresses])
    pool.begin()
    try:
        yield from pool.results()
    finally:
        pool.stop()


@dataclass
class _Place:
    """A server of the pool: what it has in its cache, and whether it is there."""

    server: Server
    last: tuple[str, str] = ("", "")  # photo and anchor of its last row
    there: bool = True
    busy: bool = False
    uploaded: deque[str] = field(default_factory=lambda: deque(maxlen=AHEAD))


class _Pool:
    def __init__(self, units: Iterator[list[Row]], workflow: Workflow, folder: Path, servers: list[Server]):
        self._units, self._workflow, self._folder = units, workflow, folder
        self._places = [_Place(server) for server in servers]
        self._waiting: deque[list[Row]] = deque()
        self._lost: dict[int, list[_Place]] = {}  # at which servers, by number of row, of those given back
        self._change = threading.Condition()
        self._results: Queue[Finished | Exception | None] = Queue(2 * len(servers))
        self._stopped = threading.Event()
        self._last_there = time.monotonic()
        self._threads = [threading.Thread(target=self._serve, args=(place,), daemon=True) for place in self._places]

    def begin(self) -> None:
        """Raises NoWorker unless a server answers."""
        reasons = []
        for place in self._places:
            try:
                place.server.check()
            except Gone as gone:
                place.there = False
                reasons.append(str(gone))
        if len(reasons) == len(self._places):
            raise NoWorker(f"{reasons[0]} No other server does: start one, or correct --servers.")
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[Finished]:
        working = len(self._threads)
        while working:
            result = self._results.get()
            if isinstance(result, Exception):
                raise result
            if result is None:
                working -= 1
            else:
                yield result

    def stop(self) -> None:
        self._stopped.set()
        with self._change:
            self._change.notify_all()
        while any(thread.is_alive() for thread in self._threads):
            while not self._results.empty():  # lest a thread waits to put what nobody takes any more
                self._results.get()
            time.sleep(POLL)

    def _serve(self, place: _Place) -> None:
        """A server's thread: units one after the other, as long as there are any."""
        try:
            while not self._stopped.is_set():
                if not place.there and not self._is_back(place):
                    if self._over():
                        break
                    self._stopped.wait(1)
                    continue
                unit = self._take(place)
                if unit is None:
                    break
                self._do(place, unit)
        except Exception as error:  # of the manifest, or a fault of ours: it ends the run
            self._results.put(error)
        self._results.put(None)

    def _is_back(self, place: _Place) -> bool:
        try:
            place.server.check()
        except Gone as gone:
            if not any(other.there for other in self._places) and time.monotonic() > self._last_there + PATIENCE:
                raise NoWorker(f"{gone} No other server does: start one, and run the same command again.") from None
            return False
        place.there, place.last = True, ("", "")
        place.uploaded.clear()
        return True

    def _over(self) -> bool:
        with self._change:
            self._fill()
            return not self._waiting and not any(place.busy for place in self._places)

    def _fill(self) -> None:
        missing = AHEAD * len(self._places) - len(self._waiting)
        self._waiting.extend(islice(self._units, max(0, missing)))

    def _take(self, place: _Place) -> list[Row] | None:
        """The unit that suits a server best; None where nothing is left to do."""
        with self._change:
            while not self._stopped.is_set():
                self._fill()
                if (unit := self._best(place)) is not None:
                    self._waiting.remove(unit)
                    place.busy = True
                    return unit
                if not self._waiting and not any(other.busy for other in self._places):
                    self._change.notify_all()
                    return None
                self._change.wait(1)  # another server may die, and give its rows back
        return None

    def _best(self, place: _Place) -> list[Row] | None:
        """Of the units next in turn: one whose tuning or at least photo the server has, and if there is none, one
        whose photo no other has. What was lost at this server is another's, as long as there is one."""
        others = [other for other in self._places if other is not place and other.there]
        theirs = {other.last[0] for other in others}

        def rank(unit: list[Row]) -> tuple[bool, bool, bool]:
            photo, anchor = unit[0].photo, unit[0].anchor
            return (photo, anchor) != place.last, photo != place.last[0], photo in theirs

        def lost_here(unit: list[Row]) -> bool:
            return unit[0].number in self._lost and self._lost[unit[0].number][-1] is place

        return min((unit for unit in self._waiting if not (others and lost_here(unit))), key=rank, default=None)

    def _do(self, place: _Place, unit: list[Row]) -> None:
        """The rows of a unit; those that a server's end leaves undone go back."""
        left = deque(unit)
        try:
            while left and not self._stopped.is_set():
                finished = self._row(place, left[0])
                self._lost.pop(left.popleft().number, None)
                self._results.put(finished)
        except Gone as gone:
            place.there = False
            self._last_there = time.monotonic()  # it was there until now, however long the row took
            first = left[0]
            self._lost.setdefault(first.number, []).append(place)
            if len(self._lost[first.number]) == TRIES:
                left.popleft()
                self._results.put(failed(first, f"{gone} It was tried {TRIES} times: try it by itself."))
        with self._change:
            if left:
                self._waiting.appendleft(list(left))
            place.busy = False
            self._change.notify_all()

    def _row(self, place: _Place, row: Row) -> Finished:
        """One row on one server. Raises Gone if that is lost."""
        start = time.perf_counter()
        place.last = row.photo, row.anchor
        try:
            names = {column: self._upload(place, column, path) for column, path in self._workflow.files(row).items()}
            images = self._follow(place.server, place.server.queue(self._workflow.filled(row, names)))
            if not images:
                raise ValueError("The workflow put out no picture: choose another --output-node.")
            content = place.server.view(images[0])
            drawn = picture("output", row.output, self._folder, content)
        except ValueError as error:  # Refused is one
            return failed(row, explain(error), time.perf_counter() - start)
        if PureWindowsPath(images[0]["filename"]).suffix.lower() != PureWindowsPath(row.output).suffix.lower():
            content = encode(drawn, row.output)
        seconds = time.perf_counter() - start
        return Finished(Result(row.number, row.output, DONE, seconds, key=row.key), {row.output: content})

    def _upload(self, place: _Place, column: str, path: str) -> str:
        """What the server's node is to call a picture. Its name tells its content, so that caches know it again."""
        content = read_file(column, path, self._folder)
        picture(column, path, self._folder, content)
        digest = blake2b(content, digest_size=12).hexdigest()
        name, folder = f"imagic-{digest}{PureWindowsPath(path).suffix}", self._workflow.place(column)
        if name not in place.uploaded:
            place.server.upload(name, content, folder)
            place.uploaded.append(name)
        return f"{name} [temp]" if folder == "temp" else name

    def _follow(self, server: Server, prompt: str) -> list[dict[str, str]]:
        """The pictures of a graph, once it is over. Raises Gone where the server has forgotten it."""
        start, node = time.monotonic(), self._workflow.output
        try:
            while not self._stopped.is_set():
                if (images := server.outcome(prompt, node)) is not None:
                    return images
                waited = time.monotonic() - start
                # Between the queue and the history there is a moment in which neither has it.
                if waited > 1 and not server.knows(prompt) and server.outcome(prompt, node) is None:
                    raise Gone(f"{server.address} was started anew.")
                self._stopped.wait(max(POLL, waited / 100))
            raise ValueError("The run was stopped.")
        except BaseException:
            if self._stopped.is_set():
                server.cancel(prompt)
            raise
