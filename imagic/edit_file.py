"""A finished tuning as one safetensors file, to go on with after a restart or on another machine.

Its tensors are those of an `Edit`, or the update's alone, so that LoRA loaders can read the file as well; all the rest
is then in the file's metadata, where they do not look.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from safetensors.torch import save_file
from torch import Tensor

from .denoiser import Conditioning
from .fingerprint import Fingerprint

FORMAT = "imagic edit"  # the key of the format's entry in the file's metadata
VERSION, LORA_VERSION = 1, 2  # of the two layouts


@dataclass
class Edit:
    """What the stages A and B learned about a photo."""

    optimized: Conditioning
    anchor: Conditioning  # the text that stage A started from
    update: dict[str, Tensor]  # of the network, as LoRA files name it
    preview: Tensor  # of the source, uint8 [H, W, 3]
    base: Fingerprint
    photo: Tensor | None = None  # its latent, [1, C, ...], in the model's scale; None where the user keeps it
    # What JSON can hold: how it was made, and what else belongs to the conditionings.
    about: dict[str, Any] = field(default_factory=dict)


class NotAnEdit(ValueError):
    """A file that cannot be read as an edit."""


def save(edit: Edit, path: Path, *, as_lora: bool = False) -> None:
    """Write an edit. Whoever looks at `path`, at any time, finds the whole file or none.

    Args:
        as_lora: LoRA loaders are to read the file as well, where the update's names are such that they know them.
    """
    groups = {"optimized": edit.optimized, "anchor": edit.anchor, "update": edit.update}
    tensors = {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}
    tensors |= {"preview": edit.preview, "base": edit.base.values}
    if edit.photo is not None:
        tensors["photo"] = edit.photo
    # Copies, since the format refuses tensors that share memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {"version": VERSION, "base": edit.base.kind, "about": edit.about, "checksum": _checksum(tensors.items())}
    if as_lora:
        update = _group(tensors, "update")
        rest = to_bytes({name: tensor for name, tensor in tensors.items() if not name.startswith("update/")})
        header |= {"version": LORA_VERSION, "rest": base64.b64encode(rest).decode("ascii")}
        tensors = update
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        # As one entry, since the format writes several in any order.
        save_file(tensors, unfinished, {FORMAT: json.dumps(header)})
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path) -> Edit:
    """Read an edit, its tensors on the CPU.

    Raises:
        NotAnEdit: the file is damaged, truncated, of another kind or from a later version.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if FORMAT not in metadata:
                raise NotAnEdit(f"{path.name} is not an edit: choose a file that Save Imagic Edit wrote.")
            header = json.loads(metadata[FORMAT])
            if header["version"] > LORA_VERSION:
                raise NotAnEdit(f"{path.name} was saved by a later version of Imagic: update the pack.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        if header["version"] == LORA_VERSION:
            tensors = {f"update/{name}": tensor for name, tensor in tensors.items()}
            tensors |= from_bytes(base64.b64decode(header["rest"], validate=True))
        if _checksum(tensors.items()) != header["checksum"]:
            raise ValueError
        return Edit(
            optimized=_group(tensors, "optimized"),
            anchor=_group(tensors, "anchor"),
            update=_group(tensors, "update"),
            preview=tensors["preview"],
            base=Fingerprint(header["base"], tensors["base"]),
            photo=tensors.get("photo"),
            about=header["about"],
        )
    except FileNotFoundError:
        raise NotAnEdit(f"{path.name} is no longer there: choose another edit, or save it again.") from None
    except NotAnEdit:
        raise
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OSError):
        raise NotAnEdit(f"{path.name} is damaged or incomplete: copy or save it again.") from None


def _group(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    prefix = f"{group}/"
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _checksum(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Of names and contents; safetensors itself would not notice a changed byte."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
