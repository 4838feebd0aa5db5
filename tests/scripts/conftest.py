"""A make-believe ComfyUI, so that the scripts can be tested in seconds and without a network."""

import pytest

from scripts import hosts


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
