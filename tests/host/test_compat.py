"""`make compat` finds out which packs fail to import and which change an edit."""

import pytest

from scripts import compat, hosts

QUIET = "NODE_CLASS_MAPPINGS = {}\n"
BROKEN = "import a_library_that_nobody_has\n"
# Darkens whatever any VAE decodes.
MEDDLING = """
import comfy.sd

NODE_CLASS_MAPPINGS = {}
original = comfy.sd.VAE.decode


def decode(*args, **kwargs):
    return original(*args, **kwargs) * 0.9


comfy.sd.VAE.decode = decode
"""


@pytest.fixture
def folder(tmp_path):
    """A folder of packs: quiet, broken and meddling."""
    for name, code in {"quiet": QUIET, "broken": BROKEN, "meddling": MEDDLING}.items():
        (tmp_path / "packs" / name).mkdir(parents=True)
        (tmp_path / "packs" / name / "__init__.py").write_text(code)
    return tmp_path / "packs"


def test_only_folders_that_comfyui_would_import_are_packs(folder):
    (folder / "__pycache__").mkdir()
    (folder / "one.py").write_text(QUIET)
    assert [pack.name for pack in compat.packs_in(folder)] == ["broken", "meddling", "quiet"]


@pytest.mark.long
def test_packs_that_change_the_edit_are_named_and_those_that_do_not_are_not(comfyui, folder, tmp_path):
    if comfyui.path != hosts.find().path:
        pytest.skip("`make compat` takes the newest ComfyUI, whose run has this test")
    outcome = compat.compare(comfyui, compat.packs_in(folder), tmp_path)
    assert not outcome.same
    assert outcome.blamed == ["meddling"]
    assert "a_library_that_nobody_has" in outcome.failed.pop("broken")
    assert not outcome.failed


def test_a_folder_without_packs_is_one_clear_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["compat", str(tmp_path)])
    with pytest.raises(SystemExit, match="holds no packs: give a folder as ComfyUI's custom_nodes"):
        compat.main()
