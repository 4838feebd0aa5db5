"""Where edits are kept, and which base model they belong to."""

import contextlib
from pathlib import Path

import folder_paths
from comfy.cli_args import args

from ...imagic.fingerprint import Fingerprint, fingerprint

SUFFIX = ".safetensors"
# Not allowed in names on some system or other; files travel.
FORBIDDEN = set('<>:"|?*\0')


def folder() -> Path:
    """The one folder that edits are written to and read from, in the host's output folder."""
    return Path(folder_paths.get_output_directory()).absolute() / "imagic"


def names() -> list[str]:
    """All edits there, newest first, as paths below the folder with forward slashes."""
    found = []
    for path in folder().rglob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # deleted just now
            if path.is_file() and not path.name.startswith("."):
                found.append((-path.stat().st_mtime_ns, path))
    return [path.relative_to(folder()).as_posix() for _, path in sorted(found)]


def path_of(name: str) -> Path:
    """The file of an edit.

    Raises:
        ValueError: the name leads out of the folder.
    """
    path = folder() / name
    if "\0" in name or not _inside(path):
        raise ValueError(f"{name!r} is outside of ComfyUI's output folder: choose an edit from the list.")
    return path


def path_to_save(name: str) -> Path:
    """A file that is not there yet, numbered as the host numbers its pictures.

    Raises:
        ValueError: the name is empty, not possible on every system, or leads out of the folder.
    """
    plain = name.replace("\\", "/").strip()
    if not plain.strip("/. ") or FORBIDDEN & set(plain) or not plain.isprintable():
        raise ValueError(f'name is {name!r}: use letters and numbers, and "/" for folders.')
    if plain.startswith("/") or ".." in plain.split("/") or not _inside(folder() / plain):
        raise ValueError(f"name is {name!r}, which leads out of ComfyUI's output folder: use a plain name.")
    folder().mkdir(parents=True, exist_ok=True)
    parent, stem, counter, _, _ = folder_paths.get_save_image_path(plain, str(folder()))
    return Path(parent) / f"{stem}_{counter:05}_{SUFFIX}"


def may_tell(graph: dict | None) -> dict:
    """The graph at work, as far as the host's user lets files tell of it."""
    return {} if args.disable_metadata else graph or {}


def _inside(path: Path) -> bool:
    """Whether a path stays in the folder once links are followed."""
    return path.resolve().is_relative_to(folder().resolve())


def base_of(model) -> Fingerprint:
    """Of MODEL's checkpoint; patches on it, such as LoRAs, do not count."""
    prefix = "diffusion_model."
    # The host's own way to the weights as they were before they were patched in place. Newer ones add a converter.
    weights = {
        name.removeprefix(prefix): patches[0][0] if isinstance(patches[0], tuple) else patches[0]
        for name, patches in model.get_key_patches(prefix).items()
    }
    return fingerprint({name: weight.shape for name, weight in weights.items()}, weights.__getitem__)
