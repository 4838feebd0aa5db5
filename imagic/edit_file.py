"""A finished tuning as one safetensors file, to go on with after a restart or on another machine.

Its tensors are those of an `Edit`, or the update's alone, so that LoRA loaders can read the file as well; all the rest
is then in the file's metadata, where they do not look. A checksum covers all that is read.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from safetensors.torch import save_file
from torch import Tensor

from .causes import as_cause
from .edit import Edit, check_finite, check_structure
from .fingerprint import Fingerprint
from .whole_file import sweep, whole

FORMAT = "imagic edit"  # the key of the format's entry in the file's metadata
VERSION, LORA_VERSION = 3, 4  # of the two layouts
OLD_VERSION, OLD_LORA_VERSION = 1, 2  # of the same layouts, whose checksum leaves out the metadata
FOREIGN = "choose a file that Save Imagic Edit wrote"
LORA_LAYOUTS = OLD_LORA_VERSION, LORA_VERSION

# Of a file, known before anything of it is read. The largest networks have 5,000 layers of three tensors.
MOST_TENSORS, MOST_VALUES = 20_000, 200_000
LONGEST_HEADER = 100_000_000  # bytes; safetensors reads none that is longer
LARGEST_LORA = 2**31  # bytes of a file, beside what full weights may take
TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

# What reading a damaged file raises: RecursionError of lists in lists, torch's RuntimeError of impossible shapes.
DAMAGED = SafetensorError, ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError, RuntimeError


class NotAnEdit(ValueError):
    """A file that cannot be read as an edit."""


def save(edit: Edit, path: Path, *, as_lora: bool = False) -> None:
    """Write an edit. Whoever looks at `path`, at any time, finds the whole file or none.

    Args:
        as_lora: LoRA loaders are to read the file as well, where the update's names are such that they know them.

    Raises:
        ValueError: the edit is none that `load` would take.
        NotWritten: the disk does not take the file.
    """
    check_structure(edit)
    check_finite(edit)
    groups = {"optimized": edit.optimized, "anchor": edit.anchor, "update": edit.update}
    tensors = {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}
    tensors |= {"preview": edit.preview, "base": edit.base.values}
    if edit.photo is not None:
        tensors["photo"] = edit.photo
    # Copies, since the format refuses tensors that share memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {"version": LORA_VERSION if as_lora else VERSION, "base": edit.base.kind, "about": edit.about}
    header["checksum"] = _checksum(header, tensors)
    if as_lora:
        update = _group(tensors, "update")
        rest = to_bytes({name: tensor for name, tensor in tensors.items() if not name.startswith("update/")})
        header["rest"] = base64.b64encode(rest).decode("ascii")
        tensors = update
    with whole(path) as unfinished:
        # As one entry, since the format writes several in any order.
        save_file(tensors, unfinished, {FORMAT: json.dumps(header)})
        with unfinished.open("rb") as file:
            if _too_much(_header(file)):
                raise ValueError("The edit's settings and tensors are more than a file can hold: shorten the texts.")


def load(path: Path, parameters: int = 0) -> Edit:
    """Read an edit, its tensors on the CPU.

    Args:
        parameters: of the network that the edit is for. Files of more than 2 GiB can only be of its full weights.

    Raises:
        NotAnEdit: the file is damaged, truncated, of another kind or from a later version.
    """
    sweep(path.parent)
    with _explained(path), _opened(path) as file:
        header, prefix, rest = _told(path, file, parameters)
        tensors = {f"{prefix}{name}": file.get_tensor(name) for name in file.keys()} | rest  # noqa: SIM118 - no dict
        told = {key: value for key, value in header.items() if key not in ("checksum", "rest")}
        if _checksum({} if header["version"] <= OLD_LORA_VERSION else told, tensors) != header["checksum"]:
            raise ValueError("The file has another checksum.")
        edit = _edit(header, tensors)
        check_finite(edit)
        return edit


def check(path: Path) -> None:
    """Look at what a file tells of itself: at once, and before a model is loaded for it.

    Raises:
        NotAnEdit: as `load`, except for what only the tensors' numbers show.
    """
    with _explained(path), _opened(path) as file:
        _told(path, file, None)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Inside, whatever is wrong with a file is a NotAnEdit."""
    try:
        yield
    except FileNotFoundError:
        raise NotAnEdit(f"{path.name} is no longer there: choose another edit, or save it again.") from None
    except NotAnEdit:
        raise
    except DAMAGED as error:
        raise NotAnEdit(f"{path.name} is damaged or incomplete: copy or save it again.") from as_cause(error)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as safetensors has it."""
    path.stat()  # raises where there is none
    if not path.is_file():  # a pipe would wait for ever
        raise ValueError("This is no file.")
    with path.open("rb") as file:
        too_much = _too_much(_header(file))
    if too_much:
        raise NotAnEdit(f"{path.name} holds more than an edit can: {FOREIGN}.")
    with safe_open(path, "pt") as file:
        yield file


def _told(path: Path, file: Any, parameters: int | None) -> tuple[dict[str, Any], str, dict[str, Tensor]]:
    """What an open file tells of itself, what the names of its tensors begin with, and the tensors in its metadata.

    Args:
        parameters: see `load`; None where they are not known.

    Raises:
        NotAnEdit, ValueError, KeyError, TypeError, AttributeError: it is none.
    """
    metadata = file.metadata() or {}
    if FORMAT not in metadata:
        raise NotAnEdit(f"{path.name} is not an edit: {FOREIGN}.")
    if parameters is not None and path.stat().st_size > LARGEST_LORA + 8 * parameters:
        raise NotAnEdit(f"{path.name} holds more than an edit of this model can: {FOREIGN}.")
    header = json.loads(metadata[FORMAT])
    version = header["version"]
    if type(version) is not int or version < OLD_VERSION:
        raise ValueError("The file has no version.")
    if version > LORA_VERSION:
        raise NotAnEdit(f"{path.name} was saved by a later version of Imagic: update the pack.")
    prefix, rest = ("update/", _rest(header)) if version in LORA_LAYOUTS else ("", {})
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    shapes = {
        f"{prefix}{name}": torch.empty(part.get_shape(), dtype=TYPES[part.get_dtype()], device="meta")
        for name, part in slices.items()
    }
    check_structure(_edit(header, shapes | rest))  # before what may be gigabytes is read
    return header, prefix, rest


def _header(file) -> bytes:
    """The header of a file of the format: its length in 8 bytes, then JSON."""
    return file.read(min(int.from_bytes(file.read(8), "little"), LONGEST_HEADER))


def _too_much(header: bytes) -> bool:
    """Whether a header lists more than edits have, by marks that JSON has to write for each entry."""
    return header.count(b"{") > MOST_TENSORS or header.count(b",") > MOST_VALUES


def _rest(header: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors that a file in the layout of LoRA files keeps in its metadata."""
    content = base64.b64decode(header["rest"], validate=True)
    if _too_much(content[: 8 + int.from_bytes(content[:8], "little")]):
        raise ValueError("The metadata hold more tensors than an edit can.")
    return from_bytes(content)


def _edit(header: dict[str, Any], tensors: dict[str, Tensor]) -> Edit:
    return Edit(
        optimized=_group(tensors, "optimized"),
        anchor=_group(tensors, "anchor"),
        update=_group(tensors, "update"),
        preview=tensors["preview"],
        base=Fingerprint(header["base"], tensors["base"]),
        photo=tensors.get("photo"),
        about=header["about"],
    )


def _group(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    prefix = f"{group}/"
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _checksum(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """Of what a file tells, and of names and contents; safetensors itself would not notice a changed byte."""
    digest = hashlib.blake2b(digest_size=16)
    if header:
        digest.update(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
