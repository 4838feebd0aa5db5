"""The pack is installed by ComfyUI-Manager, by its own command line, as most users install it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest

from scripts import environment, hosts

READ = ("requirements.txt", "pyproject.toml", "__init__.py")
LINES = (hosts.ROOT / "requirements.txt").read_text().splitlines()


@pytest.fixture
def python(comfyui, tmp_path):
    """A Python that knows all that this one does, and the Manager, and what the host's own requirements bring."""
    venv.create(tmp_path / "venv", symlinks=os.name != "nt")
    places = [sysconfig.get_path("purelib"), environment.manager_folder(), environment.web_folder(comfyui)]
    assert environment.manager_folder().is_dir(), "make it with `python3 -m scripts.environment --all`"
    own = sysconfig.get_path("purelib", "venv", vars={"base": str(tmp_path / "venv")})
    with open(os.path.join(own, "known.pth"), "w") as file:
        file.writelines(f"{place}\n" for place in places if place)
    return tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.fixture
def host(comfyui, tmp_path):
    """A copy of the host, since the Manager writes into the one that it is told of."""
    if not (comfyui.path / "utils" / "extra_config.py").is_file():
        pytest.skip("this Manager is for hosts since 2024-12")
    return shutil.copytree(comfyui.path, tmp_path / "host", ignore=shutil.ignore_patterns(".git", "models", "user"))


def test_the_manager_installs_every_requirement(python, host, tmp_path):
    pack = tmp_path / "pack"
    pack.mkdir()
    for name in READ:
        shutil.copy(hosts.ROOT / name, pack)
    quiet = {
        "COMFYUI_PATH": str(host),
        "HOME": str(tmp_path),
        "PIP_NO_INDEX": "1",  # all is there: whatever else it may want is no business of a test
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [python, "-m", "cm_cli", "post-install", str(pack)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in LINES:
        assert f"Requirement already satisfied: {line} in" in done.stdout


@pytest.mark.parametrize("line", LINES)
def test_uv_takes_each_line_alone(line):
    uv = environment.manager_folder() / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    command = [uv, "pip", "install", "--dry-run", "--offline", "--no-deps", "--no-config", "--python", sys.executable]
    done = subprocess.run([*command, line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
