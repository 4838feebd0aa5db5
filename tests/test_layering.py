"""Arrows run one way: the pack's root -> nodes -> nodes/host -> imagic."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOST_MODULES = {"comfy", "comfy_extras", "folder_paths", "latent_preview", "execution", "server", "node_helpers"}
FILES = [*(ROOT / "imagic").rglob("*.py"), *(ROOT / "nodes").rglob("*.py"), ROOT / "__init__.py"]


def imported(path: Path) -> set[str]:
    """Top names of absolute imports, and of relative ones the first name below the repository's root."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*above, node.module or ""]).strip(".")
            names.add(module.split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may(path):
    names, room = imported(path), path.relative_to(ROOT).parts[:-1]
    if room != ("nodes", "host"):
        assert not names & HOST_MODULES
    if room[:1] == ("imagic",):
        assert "nodes" not in names
    # Hence every node loads where diffusers is missing or broken.
    if room != ("imagic", "diffusers"):
        assert not names & {"diffusers", "transformers"}


def test_the_check_sees_imports():
    assert "comfy" in imported(ROOT / "nodes" / "host" / "denoiser.py")
    assert "imagic" in imported(ROOT / "nodes" / "optimize_embedding.py")
    assert "diffusers" in imported(ROOT / "imagic" / "diffusers" / "denoiser.py")
