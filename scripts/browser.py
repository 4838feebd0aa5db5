"""Finds the Chromium that the browser tests drive, and gets it where the system's packages can."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
# No sandbox, since tests run as root in containers; the rest keeps it from calling home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find() -> Path | None:
    """The browser: CHROMIUM_PATH, or the first there is on the system."""
    named = os.environ.get("CHROMIUM_PATH")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


def prepare() -> Path | None:
    """The browser, after asking Debian's packages for one if need be; None where there is none to be had."""
    if find() is None and shutil.which("apt-get") and getattr(os, "geteuid", lambda: 1)() == 0:
        print("Browser: installing Chromium from the system's packages ...", flush=True)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, **quiet)
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
        subprocess.run(install, env=environment, **quiet)
    return find()
