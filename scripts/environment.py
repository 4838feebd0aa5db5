"""Make `.venv`: what the pack, its tests and the hosts need, installed once. Standard library only.

    python3 -m scripts.environment          for the host of `make demo` and `make comfyui`
    python3 -m scripts.environment --all    for all hosts of `make test`
    python3 -m scripts.environment --none   for `make test-fast`, which runs on no host; any environment will do

One environment serves every host, since a newer ComfyUI's libraries suit older ones. Only a host's web parts (its
`comfyui-*` packages: frontend, templates, help) must be the very releases it names; each host gets its own set.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

from scripts import browser, hosts

OLDEST_PYTHON = (3, 11)
FOLDER = hosts.ROOT / ".venv"
PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = FOLDER / "installed.json"
REQUIREMENTS = (hosts.ROOT / "requirements.txt", hosts.ROOT / "requirements-dev.txt")
CONSTRAINTS = hosts.ROOT / "constraints.txt"
WEB_PREFIX = "comfyui-"
# ComfyUI-Manager, which installs packs for most users, with what of its own needs a host's libraries do not bring.
MANAGER = ("comfyui-manager==4.2.2", "chardet", "gitdb", "GitPython", "PyGithub", "smmap", "toml", "uv")


class SetupError(RuntimeError):
    """The environment can't be made. The message is one sentence that says what to do."""


def stamp_for(host: hosts.Host) -> dict[str, str]:
    """What an environment for this host is made of."""
    libraries, _ = _requirements(host)
    return {"pack": _digest_of_own(), "version": host.version, "host": _digest("\n".join(libraries).encode())}


def serves(installed: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether an environment will do. One made for a newer host serves older ones, so switching hosts costs nothing."""
    if installed["pack"] != wanted["pack"]:
        return False
    newer = hosts.version_key(installed["version"]) > hosts.version_key(wanted["version"])
    return newer or installed["host"] == wanted["host"]


def web_folder(host: hosts.Host) -> Path | None:
    """Where a host's own web parts are installed; None for hosts that carry them along."""
    _, web = _requirements(host)
    return FOLDER / "web" / _digest("\n".join(web).encode())[:12] if web else None


def manager_folder() -> Path:
    """Where ComfyUI-Manager is installed for the test that installs the pack with it."""
    return FOLDER / "manager" / _digest("\n".join(MANAGER).encode())[:12]


def prepare(all_hosts: bool) -> None:
    """Make the environment, or say that the one there will do."""
    _check_python()
    _make_venv()
    found = hosts.find_all(str(PYTHON)) if all_hosts else [hosts.find(str(PYTHON))]
    for host in found:
        print(f"Host: {host}", flush=True)
    start = time.monotonic()
    _install_libraries(found[0])
    for host in found:
        _install_web(host)
    if all_hosts:
        # Without its dependencies: it would bring the host's libraries a second time.
        _install_apart(manager_folder(), "ComfyUI-Manager", "--no-deps", *MANAGER)
        print(f"Browser: {_browser()}", flush=True)
    print(f"Environment: {FOLDER}, ready after {time.monotonic() - start:.0f} s", flush=True)


def prepare_without_host() -> None:
    """Make an environment that looks for no ComfyUI, unless there is one of any kind."""
    _check_python()
    _make_venv()
    own = _digest_of_own()
    if STAMP.is_file() and json.loads(STAMP.read_text(encoding="utf-8"))["pack"] == own:
        return
    # What the tests use of a host's libraries. The stamp is no host's, so one that comes later gets all of its own.
    torch = [line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    _install({"pack": own, "version": "none", "host": ""}, *torch, "aiohttp")


def _check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        raise SetupError(f"This is Python {sys.version.split()[0]}: run make PYTHON=... with {wanted} or newer.")


def _browser() -> Path:
    """What the tests in a browser drive."""
    found = browser.prepare()
    if found is None:
        raise SetupError("The browser tests need Chromium or Chrome: install one, or set CHROMIUM_PATH to it.")
    return found


def _make_venv() -> None:
    """A fresh virtual environment, unless a working one is there."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return
    print(f"Environment: making {FOLDER} ...", flush=True)
    try:
        venv.create(FOLDER, clear=True, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise SetupError(
            "This Python can't make virtual environments with pip: "
            "install your system's package for that (python3-venv on Debian), or run make PYTHON=..."
        ) from error


def _install_libraries(host: hosts.Host) -> None:
    """One pip run over all requirements, so that it settles on releases that fit together."""
    wanted = stamp_for(host)
    if STAMP.is_file() and serves(json.loads(STAMP.read_text(encoding="utf-8")), wanted):
        return
    _install(wanted, *_requirements(host)[0])


def _install(stamp: dict[str, str], *libraries: str) -> None:
    print(f"Environment: installing PyTorch and more into {FOLDER}; this takes minutes ...", flush=True)
    own = [part for file in REQUIREMENTS for part in ("--requirement", str(file))]
    STAMP.unlink(missing_ok=True)
    _pip_install(*own, "--constraint", str(CONSTRAINTS), *libraries)
    STAMP.write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def _install_web(host: hosts.Host) -> None:
    """The host's own releases of its web parts."""
    folder = web_folder(host)
    if folder is not None:
        _install_apart(folder, f"the web parts of ComfyUI {host.version}", *_requirements(host)[1])


def _install_apart(folder: Path, what: str, *arguments: str) -> None:
    """Packages in a folder of their own beside the libraries, unless it is there."""
    if folder.is_dir():
        return
    print(f"Environment: installing {what} ...", flush=True)
    unfinished = folder.with_suffix(".unfinished")
    _pip_install("--target", str(unfinished), "--upgrade", *arguments)
    unfinished.rename(folder)


def _pip_install(*arguments: str) -> None:
    command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise SetupError(
            "pip could not install the environment, see its message above: "
            "make a package index reachable and 10 GB of disk free, then run the same command again."
        )


def _requirements(host: hosts.Host) -> tuple[list[str], list[str]]:
    """What a host asks for: its libraries, its web parts."""
    text = (host.path / "requirements.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    web = [line for line in lines if line.startswith(WEB_PREFIX)]
    return [line for line in lines if line not in web], web


def _digest_of_own() -> str:
    """Of what the pack and its tests ask for."""
    return _digest(b"\0".join(file.read_bytes() for file in (*REQUIREMENTS, CONSTRAINTS)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Make the environment from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="for every host the tests run on")
    which.add_argument("--none", action="store_true", help="for the tests that need no host")
    options = parser.parse_args()
    try:
        if options.none:
            prepare_without_host()
        else:
            prepare(options.all)
    except (SetupError, hosts.HostError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
