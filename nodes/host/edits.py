"""Where edits are kept, and which base model they belong to."""

import contextlib
import errno
import os
import re
import stat
from pathlib import Path

import folder_paths
from comfy.cli_args import args

from ...imagic import checks, whole_file
from ...imagic.fingerprint import Fingerprint, fingerprint

SUFFIX = ".safetensors"
# Not allowed in names on some system or other; files travel.
FORBIDDEN = set('<>:"|?*\0')
# By Windows, in any folder and with anything after a dot.
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)
# Bytes of each part: systems allow 255, and a number and what a file is called until it is whole come to them.
LONGEST = 180


def folder() -> Path:
    """The one folder that edits are written to and read from, in the host's output folder."""
    return Path(folder_paths.get_output_directory()).absolute() / "imagic"


def names() -> list[str]:
    """All edits there, newest first, as paths below the folder with forward slashes."""
    found = []
    for path in folder().rglob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # deleted just now
            name = path.relative_to(folder()).as_posix()
            if path.is_file() and _complaint(name.removesuffix(SUFFIX)) is None:
                found.append((-path.stat().st_mtime_ns, name))
    return [name for _, name in sorted(found)]


def path_of(name: str) -> Path:
    """The file of an edit.

    Raises:
        ValueError: the name leads out of the folder, or is none that an edit is saved under.
    """
    plain = checks.text("edit", name)
    if "\0" in plain or not _inside(folder() / plain):
        raise ValueError(f"{checks.shown(name)} is outside of ComfyUI's output folder: choose an edit from the list.")
    if _complaint(plain.removesuffix(SUFFIX)) is not None:
        raise ValueError(f"{checks.shown(name)} is no name that edits are saved under: choose an edit from the list.")
    return folder() / plain


def check_name(name: str) -> str:
    """The name to save an edit under, with forward slashes for folders.

    Raises:
        ValueError: the name is empty, too long, not possible on every system, or leads out of the folder.
        NotWritten: there can be no such file.
    """
    plain = checks.text("name", name).replace("\\", "/").strip()
    if (complaint := _complaint(plain)) is not None:
        raise ValueError(f"name is {checks.shown(name)}{complaint}.")
    if max(map(len, plain.encode().split(b"/"))) > LONGEST or len(plain) > 4 * LONGEST:
        raise ValueError(f"name is {checks.shown(name)}, which is too long: shorten it to {LONGEST // 3} letters.")
    _check_place(folder() / plain)
    if not _inside(folder() / plain):
        raise ValueError(f"name is {checks.shown(name)}, which leads out of ComfyUI's output folder: use a plain name.")
    return plain


def path_to_save(name: str) -> Path:
    """A file that is not there yet, numbered as the host numbers its pictures.

    Raises:
        ValueError: see `check_name`.
        NotWritten: there can be no such file.
    """
    plain = check_name(name)
    with whole_file.explained(folder() / plain):
        folder().mkdir(parents=True, exist_ok=True)
        sweep()
        parent, stem, counter, _, _ = folder_paths.get_save_image_path(plain, str(folder()))
    return Path(parent) / f"{stem}_{counter:05}_{SUFFIX}"


def sweep() -> None:
    """Remove what killed processes had begun to save, in any folder there."""
    whole_file.sweep(folder(), "**/")


def _complaint(name: str) -> str | None:
    """What a sentence about a name ends with that not every system can hold, without its suffix; else None.

    Writer and reader go by it alike, so that whatever is saved is listed.
    """
    parts = name.split("/")
    if not name.strip("/. ") or FORBIDDEN & set(name) or not name.isprintable():
        return ': use letters and numbers, and "/" for folders'
    if not parts[0] or ".." in parts:
        return ", which leads out of ComfyUI's output folder: use a plain name"
    if not all(parts):
        return ", with a folder that has no name: use letters and numbers between slashes"
    if any(part.startswith(".") for part in parts):
        return ", which would be hidden: remove the dot at the start"
    if any(part != part.strip() or part.endswith(".") for part in parts):
        return ", which Windows cannot hold: let no part of it begin with a space, or end with a space or a dot"
    if any(RESERVED.fullmatch(part) for part in parts):
        return ", which Windows keeps for devices: use another name"
    return None


def may_tell(graph: dict | None) -> dict:
    """The graph at work, as far as the host's user lets files tell of it."""
    return {} if args.disable_metadata else graph or {}


def _inside(path: Path) -> bool:
    """Whether a path stays in the folder once links are followed."""
    try:
        return path.resolve().is_relative_to(folder().resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def _check_place(path: Path) -> None:
    """Raises NotWritten if what is there already leaves no place for a file: found out before anything is trained."""
    with whole_file.explained(path):
        for parent in path.parents:
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISDIR(parent.stat().st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
                if not os.access(parent, os.W_OK):
                    raise PermissionError(errno.EACCES, "Permission denied")
                return


def parameters_of(model) -> int:
    """How many numbers MODEL's network has."""
    return sum(weight.shape.numel() for weight in model.model.diffusion_model.parameters())


def base_of(model) -> Fingerprint:
    """Of MODEL's checkpoint; patches on it, such as LoRAs, do not count."""
    prefix = "diffusion_model."
    # The host's own way to the weights as they were before they were patched in place. Newer ones add a converter.
    weights = {
        name.removeprefix(prefix): patches[0][0] if isinstance(patches[0], tuple) else patches[0]
        for name, patches in model.get_key_patches(prefix).items()
    }
    return fingerprint({name: weight.shape for name, weight in weights.items()}, weights.__getitem__)
