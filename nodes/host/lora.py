"""Tunings as the host's native patches and LoRA files."""

import comfy.sd
from torch import Tensor


class LayersLeftOut(ValueError):
    """The host did not take all of an update."""


def apply_update(model, update: dict[str, Tensor], strength: float = 1.0):
    """A clone of MODEL with the update as native patches, by the way the host's own Load LoRA takes.

    Raises:
        LayersLeftOut: the host did not take all of it; it only logs what it leaves out.
    """
    tuned = comfy.sd.load_lora_for_models(model, None, update, strength, 0.0)[0]
    # A LoRA's three tensors make one patch, full weights one each.
    wanted = sum(name.endswith((".lora_up.weight", ".lora_B.weight", ".diff", ".diff_b")) for name in update)
    taken = sum(map(len, tuned.patches.values())) - sum(map(len, model.patches.values()))
    if taken != wanted or not wanted:
        raise LayersLeftOut(f"This ComfyUI took {taken} of {wanted} tuned layers: report the model's name as an issue.")
    return tuned


def lora_file_layout(update: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name an update as every host's LoRA loader knows it: "lora_unet_" and the layer's path with underscores."""
    named = {}
    for key, tensor in update.items():
        for suffix in (".lora_down.weight", ".lora_up.weight", ".alpha", ".diff", ".diff_b"):
            if key.endswith(suffix):
                layer = key.removesuffix(suffix).replace(".", "_")
                named[f"lora_unet_{layer}{suffix}"] = tensor.contiguous()
    return named
