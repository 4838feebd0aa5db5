"""What the registry is told of the pack."""

import subprocess
import sys
from importlib.metadata import requires
from urllib.parse import urlparse

import pytest
import tomllib
from packaging.requirements import Requirement
from PIL import Image

from scripts.hosts import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMFY = PROJECT["tool"]["comfy"]


LINES = (ROOT / "requirements.txt").read_bytes().decode("ascii").split("\n")


def test_the_dependencies_are_those_that_hosts_install_and_what_every_host_has():
    """The registry shows those of the project, `pip install` takes them, and hosts install the lines alone."""
    ours = PROJECT["project"]["dependencies"]
    assert [*ours[: len(LINES) - 1], ""] == LINES
    of_every_host = {"torch", "pillow", "scipy"} | {Requirement(line).name for line in requires("transformers")}
    assert {Requirement(line).name for line in ours[len(LINES) - 1 :]} <= of_every_host


@pytest.mark.parametrize("line", LINES[:-1])
def test_each_line_is_a_requirement_by_itself(line):
    """Whoever installs packs reads the file in a way of its own, and most go line by line: so no comments, no blanks,
    and nothing that only pip's own reader would leave out."""
    Requirement(line)
    assert line == line.strip()


@pytest.mark.parametrize("line", LINES[:-1])
def test_pip_takes_each_line_alone(line):
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", line]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["Icon", "Banner"])
def test_the_pictures_are_in_the_repository_that_is_named(name):
    owner_and_name = urlparse(PROJECT["project"]["urls"]["Repository"]).path
    url = urlparse(COMFY[name])
    assert url.path.startswith(f"{owner_and_name}/main/")
    assert (ROOT / url.path.removeprefix(f"{owner_and_name}/main/")).is_file()


def test_the_registrys_security_checks_find_nothing():
    """What `comfy node validate` runs besides reading pyproject.toml: it will refuse these."""
    command = [sys.executable, "-m", "ruff", "check", str(ROOT), "--select", "S102,S307,E702"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_the_banner_is_21_by_9():
    width, height = Image.open(ROOT / "assets" / "banner.png").size
    assert width * 9 == height * 21
