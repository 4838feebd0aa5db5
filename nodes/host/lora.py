"""Tunings as the host's native patches and LoRA files."""

import comfy.lora
import comfy.sd
from torch import Tensor

from ...imagic.adapters import fits

# What begins a patch, in the two layouts of LoRA files and for full weights, and its other half.
PATCHES = {".lora_up.weight": ".lora_down.weight", ".lora_B.weight": ".lora_A.weight", ".diff": "", ".diff_b": ""}
OTHER_KINDS = (".hada_", ".lokr_", ".oft_")  # that the host's Train LoRA makes, too


class LayersLeftOut(ValueError):
    """The host did not take all of an update."""


def apply_update(model, update: dict[str, Tensor], strength: float = 1.0):
    """A clone of MODEL with the update as native patches, by the way the host's own Load LoRA takes.

    Raises:
        LayersLeftOut: the host did not take all of it; it only logs what it leaves out.
    """
    tuned = comfy.sd.load_lora_for_models(model, None, update, strength, 0.0)[0]
    # A LoRA's three tensors make one patch, full weights one each.
    wanted = sum(name.endswith(tuple(PATCHES)) for name in update)
    taken = sum(map(len, tuned.patches.values())) - sum(map(len, model.patches.values()))
    if taken != wanted or not wanted or not _fits(model, update):
        raise LayersLeftOut(f"This ComfyUI took {taken} of {wanted} tuned layers: report the model's name as an issue.")
    return tuned


def of_this_model(model, update: dict[str, Tensor], strength: float = 1.0):
    """`apply_update` of a tuning that a user has connected.

    Raises:
        ValueError: it is of another model, or of another kind.
    """
    try:
        return apply_update(model, update, strength)
    except LayersLeftOut:
        if any(kind in name for kind in OTHER_KINDS for name in update):
            raise ValueError(
                "The lora is a LoHa, LoKr or OFT, which Imagic does not read: connect it to Load LoRA Model."
            ) from None
        raise ValueError("The lora is of another model: connect the model that it was tuned on.") from None


def _fits(model, update: dict[str, Tensor]) -> bool:
    """Whether each patch has its layer's size, which the host looks at only once it samples, and then goes on."""
    layers, modules = comfy.lora.model_lora_keys_unet(model.model, {}), dict(model.model.named_modules())
    for key, tensor in update.items():
        for suffix, other in PATCHES.items():
            if not key.endswith(suffix):
                continue
            layer = key.removesuffix(suffix)
            weight = layers.get(layer)
            # A part of a layer, where files name separately what the network computes at once, is the host's to know.
            if not isinstance(weight, str) or (module := modules.get(weight.removesuffix(".weight"))) is None:
                continue
            if not fits(module, tensor, update.get(layer + other) if other else None, bias=suffix == ".diff_b"):
                return False
    return True


def lora_file_layout(update: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name an update as every host's LoRA loader knows it: "lora_unet_" and the layer's path with underscores."""
    named = {}
    for key, tensor in update.items():
        for suffix in (".lora_down.weight", ".lora_up.weight", ".alpha", ".diff", ".diff_b"):
            if key.endswith(suffix):
                layer = key.removesuffix(suffix).replace(".", "_")
                named[f"lora_unet_{layer}{suffix}"] = tensor.contiguous()
    return named
