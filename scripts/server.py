"""Run a ComfyUI headless with this pack in it, writing nothing inside that ComfyUI."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

from scripts import environment, hosts

PACK_NAME = "comfyui-imagic"  # the folder name hosts know the pack by; the clone's own name may be anything
READY_SECONDS = 300


class ServerError(RuntimeError):
    """The host did not start, or not with the pack."""


class Server:
    """A host as a subprocess on a free local port, from `with` until the end of it.

    Everything it writes goes below `home`: input, output, temp, user, log. Put models for Load Diffusion
    Model into `home/models` first; the host of March 2024 does not look there. Other packs that may be installed in the
    host are left out, and so is whatever would go to the network. All of this as far as the host has flags for it:
    those of early 2024 keep their user settings where they always do.

    Finished trainings are not kept, unless the environment says how much of them (`IMAGIC_CACHE_GB`).

    Other packs can be named to run beside this one. What they ask of pip while they are imported is refused.
    """

    def __init__(
        self, host: hosts.Host, home: Path, *, cpu: bool, arguments: tuple[str, ...] = (), packs: tuple[Path, ...] = ()
    ):
        self.host = host
        self.home = home.absolute()
        self.log = self.home / "comfyui.log"
        self.output = self.home / "output"
        self.port = _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._packs = packs
        self._arguments = (*self._own_arguments(cpu), *arguments)
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Server:
        for folder in ("input", "output", "temp", "user", "custom_nodes", "models"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        for pack in self._packs:
            link(self.home / "custom_nodes" / pack.name, pack)
        register = self._register_pack()
        command = [sys.executable, str(self.host.path / "main.py"), *self._arguments, *register]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.home, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_until_ready()
            self._check_pack()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        """End the host, by force if it doesn't listen."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def running(self) -> bool:
        """Whether the host is still alive."""
        return self._process.poll() is None

    def tail(self, lines: int = 25) -> str:
        """The end of the host's log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _own_arguments(self, cpu: bool) -> list[str]:
        """Flags for a quiet, private host; those this host doesn't know yet, or no more, are left out."""
        wanted = {
            "--port": [str(self.port)],
            "--listen": ["127.0.0.1"],
            "--input-directory": [str(self.home / "input")],
            "--output-directory": [str(self.output)],
            "--temp-directory": [str(self.home / "temp")],
            "--user-directory": [str(self.home / "user")],
            "--database-url": [f"sqlite:///{self.home / 'comfyui.db'}"],
            "--preview-method": ["auto"],  # a host shows none by default
            "--disable-auto-launch": [],
            "--disable-api-nodes": [],
            "--disable-all-custom-nodes": [],
            "--whitelist-custom-nodes": [self._installed_name() or PACK_NAME, *(pack.name for pack in self._packs)],
            **({"--cpu": []} if cpu else {}),
        }
        known = (self.host.path / "comfy/cli_args.py").read_text(encoding="utf-8")
        return [part for flag, values in wanted.items() if f'"{flag}"' in known for part in (flag, *values)]

    def _installed_name(self) -> str | None:
        """The pack's folder in the host's own custom_nodes, if it is installed there: it must not be loaded twice."""
        folder = self.host.path / "custom_nodes"
        pack = hosts.ROOT.resolve()
        return next((entry.name for entry in folder.iterdir() if entry.resolve() == pack), None)

    def _register_pack(self) -> list[str]:
        """Let the host find the pack, and models, in folders of ours, through its own setting for more of such."""
        folders = {"diffusion_models": self.home / "models"}
        if not self._installed_name():
            link_pack(self.home / "custom_nodes")
        if self._packs or not self._installed_name():
            folders["custom_nodes"] = self.home / "custom_nodes"
        config = self.home / "extra_model_paths.yaml"
        # JSON is YAML, and gets the quoting of any path right.
        config.write_text(json.dumps({"imagic": {name: str(path) for name, path in folders.items()}}), encoding="utf-8")
        return ["--extra-model-paths-config", str(config)]

    def _environment(self) -> dict[str, str]:
        web = environment.web_folder(self.host)
        # Packs may need more than this environment has.
        theirs = os.environ.get("PYTHONPATH") if self._packs else None
        # Whoever starts a host from here measures it or compares edits: it trains each time, unless told otherwise.
        given = {"IMAGIC_CACHE_GB": "0", **os.environ}
        return given | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(web) if web else None, theirs])),
            "PYTHONPYCACHEPREFIX": str(hosts.ROOT / "build" / "pycache"),
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
            **({"PIP_NO_INDEX": "1"} if self._packs else {}),
        }

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        with requests.Session() as session:
            session.trust_env = False  # a proxy has no business between us and this machine
            while time.monotonic() < deadline:
                if not self.running:
                    raise ServerError(f"{self.host} ended while starting; the end of {self.log}:\n{self.tail()}")
                try:
                    session.get(f"{self.address}/system_stats", timeout=5).raise_for_status()
                    return
                except requests.RequestException:
                    time.sleep(0.25)
        raise ServerError(f"{self.host} was not ready after {READY_SECONDS} s; the end of {self.log}:\n{self.tail()}")

    def _check_pack(self) -> None:
        """A host that can't import a pack says so in its log, and goes on without."""
        name = self._installed_name() or PACK_NAME
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if "Cannot import" in line and f"{os.sep}{name} module" in line:
                raise ServerError(f"{self.host} could not load the pack: {line}; more in {self.log}")


def link_pack(folder: Path) -> Path:
    """Make this repository appear in a custom_nodes folder, under its usual name."""
    return link(folder / PACK_NAME, hosts.ROOT)


def link(place: Path, target: Path) -> Path:
    """Make a folder appear in another place."""
    if place.exists() and place.resolve() == target.resolve():
        return place
    place.unlink(missing_ok=True)  # left over from a clone that was elsewhere
    if os.name == "nt":
        import _winapi  # a junction, unlike a symbolic link, needs no privilege there

        _winapi.CreateJunction(str(target), str(place))
    else:
        place.symlink_to(target, target_is_directory=True)
    return place


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
