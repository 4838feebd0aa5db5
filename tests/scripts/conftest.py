"""A make-believe ComfyUI, so that the scripts can be tested in seconds and without a network."""

import asyncio
import threading

import pytest
from aiohttp import WSMsgType, web

from scripts import hosts

PROMPT_ID = "prompt-1"


class FakeHost:
    """Answers a queued graph with scripted messages: (type, data) as JSON, bytes as they are, None to hang up."""

    def __init__(self, messages, outputs=None, rejection=None):
        self.messages = messages
        self.outputs = outputs or {}
        self.rejection = rejection
        self.interrupted = False
        self.uploads = {}

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.address = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _start(self):
        app = web.Application()
        app.add_routes(
            [
                web.get("/ws", self._websocket),
                web.post("/prompt", self._prompt),
                web.post("/upload/image", self._upload),
                web.post("/interrupt", self._interrupt),
                web.get("/history/{id}", self._history),
                web.get("/view", self._view),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _websocket(self, request):
        self._socket = web.WebSocketResponse()
        await self._socket.prepare(request)
        async for message in self._socket:
            if message.type == WSMsgType.ERROR:
                break
        return self._socket

    async def _prompt(self, request):
        if self.rejection:
            return web.json_response(self.rejection, status=400)
        asyncio.get_running_loop().create_task(self._play())
        return web.json_response({"prompt_id": PROMPT_ID, "node_errors": {}})

    async def _play(self):
        for message in self.messages:
            if message is None:
                await self._socket.close()
            elif isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_json({"type": message[0], "data": {"prompt_id": PROMPT_ID, **message[1]}})

    async def _upload(self, request):
        image = (await request.post())["image"]
        self.uploads[image.filename] = image.file.read()
        return web.json_response({"name": image.filename})

    async def _interrupt(self, request):
        self.interrupted = True
        return web.Response()

    async def _history(self, request):
        return web.json_response({request.match_info["id"]: {"outputs": self.outputs}})

    async def _view(self, request):
        return web.Response(body=f"the bytes of {request.query['filename']}".encode())


@pytest.fixture
def fake_host():
    """The class itself: `with fake_host(messages) as host`."""
    return FakeHost


@pytest.fixture
def make_host():
    """Creates what passes for a ComfyUI: `make_host(folder, version)`."""

    def make(folder, version=None, main=""):
        for name in hosts.LANDMARKS:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("")
        (folder / "main.py").write_text(main)
        (folder / "custom_nodes").mkdir()
        (folder / "requirements.txt").write_text("torch\n")
        if version:
            (folder / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
        return folder

    return make


@pytest.fixture
def executable(tmp_path, monkeypatch):
    """Puts a shell script on PATH before everything else: `executable("git", "sleep 60")`."""

    def make(name, script):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return folder / name

    return make
