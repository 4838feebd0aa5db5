"""What ComfyUI's node Save Imagic Edit wrote, as a diffusers pipeline has it."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..checks import quoted
from ..denoiser import Conditioning, is_text
from ..edit import Edit
from ..edit_file import NotAnEdit
from ..edit_fit import check_fit
from ..fingerprint import Fingerprint, fingerprint
from .borrowing import weight_of
from .families import PipelineFamily
from .host_names import Place, places

_OF_OUTPUTS = {".lora_up.weight", ".diff", ".diff_b"}  # have a row for each of a layer's outputs
_SUFFIXES = *sorted(_OF_OUTPUTS), ".lora_down.weight", ".alpha"
# Of a conditioning: what some of the networks do not read, and what is no part of a text.
_UNUSED = {"pooled_output", "guidance"}


def translated(saved: Edit, name: str, family: PipelineFamily) -> Edit:
    """The edit with its update by layer of the pipeline's network.

    Args:
        name: of the file.

    Raises:
        NotAnEdit: it is of another kind of model.
    """
    return replace(saved, update=_update(saved, name, family), about={**saved.about, "text": _prompt(saved.about)})


def _update(saved: Edit, name: str, family: PipelineFamily) -> dict[str, Tensor]:
    """As `LoRA.state_dict` or `Weights.state_dict` gives it.

    In the file it has the names of ComfyUI's layers, as Fine-Tune UNet ("lora_unet_") or the host's Train LoRA has.
    """
    update: dict[str, Tensor] = {}
    used: set[str] = set()
    for layer, place in places(family).items():
        for theirs in (f"lora_unet_{place.layer.replace('.', '_')}", f"diffusion_model.{place.layer}"):
            found = {suffix: saved.update[theirs + suffix] for suffix in _SUFFIXES if theirs + suffix in saved.update}
            used |= {theirs + suffix for suffix in found}
            for suffix in found.keys() & _OF_OUTPUTS:
                found[suffix] = place.of(found[suffix])
            if ".lora_down.weight" in found:
                rank = torch.tensor(float(len(found[".lora_down.weight"])))
                found[".lora_up.weight"] = found[".lora_up.weight"] * (found.get(".alpha", rank) / rank)
                found[".alpha"] = rank
            update |= {layer + suffix: tensor for suffix, tensor in found.items()}
    if saved.update.keys() - used:
        told = saved.about["base"] or "an unknown checkpoint"
        raise NotAnEdit(f"{name} was tuned on another kind of model, {quoted(told)}: load that model's pipeline.")
    return update


def base_of(family: PipelineFamily) -> Fingerprint:
    """What the node would have kept of the network's weights."""
    network, parts = family.network, dict[str, list[tuple[str, Place]]]()
    row = {name: weight.shape[1:] for name, weight in network.state_dict().items()}
    for name, place in places(family).items():
        parts.setdefault(f"{place.layer}.weight", []).append((f"{name}.weight", place))
    shapes = {
        theirs: torch.Size([sum(place.rows for _, place in own), *row[own[0][0]]]) for theirs, own in parts.items()
    }

    def weight(theirs: str) -> Tensor:
        return torch.cat([place.turned(weight_of(network, name)) for name, place in parts[theirs]])

    return fingerprint(shapes, weight)


def read(saved: Edit, name: str, family: PipelineFamily) -> Edit:
    """The edit with what the network reads of its texts and its photo, each as the network takes it.

    Args:
        name: of the file.

    Raises:
        NotAnEdit: they are of another model, or its text is steered by what a pipeline cannot be told.
    """
    takes = family.takes()
    optimized, anchor = (_text(part, saved, name, family) for part in ("optimized", "anchor"))
    own = replace(saved, optimized=optimized, anchor=anchor)
    check_fit(own, name, takes)
    if own.photo is None:
        return own
    missing = takes.dimensions + 2 - own.photo.ndim
    return replace(own, photo=own.photo.float().reshape(*own.photo.shape[:2], *[1] * missing, *own.photo.shape[2:]))


def _text(part: str, saved: Edit, name: str, family: PipelineFamily) -> Conditioning:
    text, rest = getattr(saved, part), saved.about.get(part, {})
    more = {*text, *(key for key, value in rest.items() if value is not None)} - {*family.reads, *_UNUSED}
    if more:
        raise NotAnEdit(
            f"{name} was learned with {quoted(min(more))} in its conditioning, which diffusers is not told: tune with "
            "the text from CLIP Text Encode alone."
        )
    own = {key: text[key] for key in family.reads if key in text}
    mask = own.get("attention_mask")
    if mask is not None and mask.shape != own["cross_attn"].shape[:2]:
        raise NotAnEdit(f"{name} holds no text of this model: save it again.")
    return {key: tensor.float() if is_text(key, tensor) else tensor for key, tensor in own.items()}


def _prompt(about: dict[str, Any]) -> str:
    """The text that the edit was learned with, where the file's record of the graph has one alone; else none."""
    texts = {
        node["text"]
        for node in about.get("settings", [])
        if node.get("node") == "CLIPTextEncode" and isinstance(node.get("text"), str)
    }
    return texts.pop() if len(texts) == 1 else ""
