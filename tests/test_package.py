"""What `pip install .` brings: the package alone, the command, and a model to try it on."""

import email
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.hosts import ROOT

PHOTO = ROOT / "demo" / "photo.png"
INSTANT = "a brown dog sitting in the snow wearing a hat", "--instant", "a brown dog sitting in the snow"
OTHERS = "nodes", "scripts", "tests", "demo"  # of the repository; the first is ComfyUI's name as well


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def empty_environment(folder: Path) -> tuple[Path, Path]:
    """An environment's Python and its scripts, with this one's dependencies and without this repository."""
    venv.create(folder, with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    # What is installed here counts as there, so that gigabytes need not be installed again.
    Path(paths["purelib"], "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    scripts = Path(paths["scripts"])
    return scripts / f"python{sysconfig.get_config_var('EXE')}", scripts


def install(python: Path, *what: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", *what, cwd=python.parent)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    return next(folder.glob("imagic-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> tuple[Path, Path]:
    python, scripts = empty_environment(tmp_path_factory.mktemp("environment"))
    install(python, wheel)
    return python, scripts


def test_the_wheel_holds_the_package_its_types_and_the_demo_model_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = email.message_from_bytes(archive.read(next(n for n in archive.namelist() if n.endswith("METADATA"))))
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "imagic", "demo/model", cwd=ROOT)
    ours = {line.replace("demo/model/", "imagic/diffusers/demo_model/") for line in listed.splitlines()}
    assert names == ours
    assert "imagic/py.typed" in names
    assert set(metadata.get_all("Provides-Extra")) == {"diffusers", "batch", "bench"}


def test_the_command_edits_a_photo_with_the_demo_model(installed, tmp_path):
    _, scripts = installed
    home = {"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in home.items():
            patch.setenv(name, value)
        options = "--model", "demo", "--num-inference-steps", "4", "-o", "hat.png"
        assert run(scripts / "imagic", "edit", PHOTO, *INSTANT, *options, cwd=tmp_path) == "hat.png\n"
    photo, edited = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (PHOTO, tmp_path / "hat.png"))
    assert np.abs(edited - photo).max() > 60


@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_nothing_else_of_the_repository_can_be_imported(editable, installed, tmp_path):
    python = installed[0]
    if editable:
        python, _ = empty_environment(tmp_path / "environment")
        install(python, "--editable", ROOT, "editables>=0.3")
    found = f"[name for name in {OTHERS} if importlib.util.find_spec(name)]"
    code = f"import importlib.util, imagic, imagic.cli; print(imagic.__file__, {found})"
    file, names = run(python, "-c", code, cwd=tmp_path).split(maxsplit=1)
    assert names.strip() == "[]"
    assert Path(file).is_relative_to(ROOT) is editable


def test_help_needs_nothing_heavy(tmp_path):
    """It is there at once: PyTorch and diffusers take seconds to import."""
    code = "import sys; from imagic.cli import main\n"
    code += "try: main([*sys.argv[1:], '--help'])\n"
    code += "except SystemExit: print([name for name in ('torch', 'diffusers', 'numpy', 'PIL') if name in sys.modules])"
    for command in ([], ["edit"], ["apply"]):
        printed = run(
            sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}", *command, cwd=tmp_path
        )
        assert printed.startswith("usage: imagic")
        assert printed.endswith("[]\n")
