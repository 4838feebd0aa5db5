"""What the registry is told of the pack."""

import subprocess
import sys
from urllib.parse import urlparse

import pytest
import tomllib
from PIL import Image

from scripts.hosts import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMFY = PROJECT["tool"]["comfy"]


def test_the_dependencies_are_those_that_hosts_install():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert PROJECT["project"]["dependencies"] == [line.split("#")[0].strip() for line in lines if line[:1] not in "#"]


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
