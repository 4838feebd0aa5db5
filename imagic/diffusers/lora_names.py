"""The names of LoRA files that both diffusers' `load_lora_weights` and ComfyUI's Load LoRA know.

For UNets that is kohya's layout ("lora_unet_" and the layer's path with underscores), for transformers PEFT's
("transformer.", the layer's path, A and B), which has no alpha: it equals the rank.
"""

from torch import Tensor, nn

_PEFT = {".lora_down.weight": ".lora_A.weight", ".lora_up.weight": ".lora_B.weight"}
SUFFIXES = (*_PEFT, ".alpha")


def to_file(update: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """A LoRA of a pipeline's `part`, "unet" or "transformer", named for files.

    Args:
        update: by layer of the network, as `LoRA.state_dict` gives it.
    """
    named = {}
    for key, tensor in update.items():
        suffix = next(suffix for suffix in SUFFIXES if key.endswith(suffix))
        layer = key.removesuffix(suffix)
        if part == "unet":
            named[f"lora_unet_{layer.replace('.', '_')}{suffix}"] = tensor
        elif suffix in _PEFT:
            named[f"{part}.{layer}{_PEFT[suffix]}"] = tensor
    return named


def from_file(named: dict[str, Tensor], network: nn.Module, part: str) -> dict[str, Tensor]:
    """Back to the network's own names; a layer that it does not have keeps its name in the file."""
    layers = {
        f"lora_unet_{name.replace('.', '_')}" if part == "unet" else f"{part}.{name}": name
        for name, _ in network.named_modules()
    }
    update = {}
    for key, tensor in named.items():
        for ours, theirs in ((suffix, suffix if part == "unet" else _PEFT.get(suffix, suffix)) for suffix in SUFFIXES):
            if key.endswith(theirs):
                layer = key.removesuffix(theirs)
                update[f"{layers.get(layer, layer)}{ours}"] = tensor
    return update
