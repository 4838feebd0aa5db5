"""The network's own weights, trained in place of low-rank updates, as the paper has it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .adapters import SHARE_OF_OUTPUT, fits, in_attention
from .sizes import output_size, rms

# A matrix's step changes the output by SHARE_OF_OUTPUT only where all inputs pull the same way; that of a bias or of a
# norm's weight changes a channel everywhere. With the same share for these the loss jumps.
SHARE_OF_CHANNEL = SHARE_OF_OUTPUT / 10


def _quantized(weight: Tensor) -> bool:
    """Whether a weight is of 8 bits or fewer, or in a layout of its own, which is a class of tensors then."""
    return weight.dtype.itemsize < 2 or type(weight) not in (Tensor, nn.Parameter)


class Weights:
    """The network's own weights and biases, trained as fp32 copies that stand in for them.

    The originals are never written: the update that is handed out is the difference.

    Each tensor's steps are in a unit of its own, as in Adafactor (arXiv 1804.04235, section 8), which takes the size of
    the tensor. Here it is what changes the layer's output by a given share, as in `LoRA`: a matrix's step adds up over
    all inputs, so its unit is size of y / (inputs * size of x), that of a bias the size of y, that of a norm's weight
    its own. So one rate suits networks of every width (arXiv 2203.03466), and weights and inputs of every scale.
    """

    def __init__(self, network: nn.Module, only_attention: bool):
        self.owners: dict[str, tuple[nn.Module, str]] = {
            f"{path}.{name}": (module, name)
            for path, module in network.named_modules()
            for name, _ in module.named_parameters(recurse=False)
            # Only what a LoRA file can name. Scale tables and the like stay as they are.
            if name in ("weight", "bias") and (not only_attention or in_attention(path))
        }
        if not self.owners:
            raise ValueError("This model has no attention layers by name: tune LoRA or all weights instead.")
        self.originals = {key: module._parameters[name] for key, (module, name) in self.owners.items()}
        quantized = {
            f"{type(weight).__name__} of {weight.dtype}" for weight in self.originals.values() if _quantized(weight)
        }
        if quantized:
            raise ValueError(
                f"The model's weights are quantized ({', '.join(quantized)}), which only LoRA can be tuned "
                "beside: choose LoRA, or load the model in 16 bits."
            )
        self.masters = {key: weight.detach().float().clone().requires_grad_() for key, weight in self.originals.items()}
        # Until it is measured, and where it cannot be, a matrix is taken for random.
        self.units = {
            key: float(rms(weight.detach())) / (math.sqrt(weight[0].numel()) if weight.ndim > 1 else 1)
            for key, weight in self.masters.items()
        }

    @classmethod
    def restored(cls, network: nn.Module, state: dict[str, Tensor]) -> "Weights":
        """What `state_dict` gave, added to the weights and biases of the same layers.

        Raises:
            ValueError: the network has no such layers, they are of another size, or not in its memory.
        """
        modules, weights = dict(network.named_modules()), cls.__new__(cls)
        weights.owners, weights.originals, weights.masters = {}, {}, {}
        for key, difference in state.items():
            layer, _, suffix = key.rpartition(".")
            name = "bias" if suffix == "diff_b" else "weight"
            if layer not in modules or not fits(modules[layer], difference, bias=name == "bias"):
                raise ValueError(f"The weights do not fit this model at {layer}: load the model that was tuned.")
            original = modules[layer]._parameters[name]
            if original.is_meta:
                raise ValueError("This model's layers are not in memory, and full weights were tuned: offload less.")
            weights.owners[f"{layer}.{name}"], weights.originals[f"{layer}.{name}"] = (modules[layer], name), original
            tuned = original.detach().float() + difference.to(original.device, torch.float32)
            weights.masters[f"{layer}.{name}"] = tuned.to(original.dtype)
        return weights

    def parameters(self) -> list[Tensor]:
        return list(self.masters.values())

    def step_units(self) -> list[float]:
        """What the learning rate of each parameter counts in."""
        return [
            self.units[key] * (SHARE_OF_OUTPUT if weight.ndim > 1 else SHARE_OF_CHANNEL)
            for key, weight in self.masters.items()
        ]

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Inside, the network computes as it was; what its layers compute sets the units."""
        found: dict[str, list[float]] = {key: [] for key in self.masters}
        keys: dict[nn.Module, list[str]] = {}
        for key, (layer, _) in self.owners.items():
            keys.setdefault(layer, []).append(key)

        @torch.no_grad()
        def note(layer: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
            if not isinstance(output, Tensor):  # the gate of a mixture of experts, say
                return
            weights = {key: self.masters[key] for key in keys[layer]}
            picture = isinstance(layer, nn.GroupNorm) or any(weight.ndim > 2 for weight in weights.values())
            size = output_size(output, 1 if picture else -1)
            if not 0 < size < math.inf:  # it gives zeros alone, or was given nothing
                return
            for key, weight in weights.items():
                if key.endswith(".bias"):
                    found[key].append(float(size))
                elif weight.ndim > 1 and not isinstance(layer, nn.Embedding):  # whose inputs are no sizes
                    ratio = float(size / (weight[0].numel() * rms(args[0])))
                    if ratio < math.inf:  # else it gets zeros alone
                        found[key].append(ratio)

        hooks = [layer.register_forward_hook(note) for layer in keys]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        self.units |= {key: sum(values) / len(values) for key, values in found.items() if values}

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Inside, the network computes with the trained copies."""
        try:
            for key, (module, name) in self.owners.items():
                # Straight into the dict: a cast copy is no leaf, and nn.Module only accepts Parameters by assignment.
                module._parameters[name] = self.masters[key].to(self.originals[key].dtype)
            yield
        finally:
            for key, (module, name) in self.owners.items():
                module._parameters[name] = self.originals[key]

    def state_dict(self) -> dict[str, Tensor]:
        """The differences, named as LoRA files name them: "<layer>.diff" for a weight, "<layer>.diff_b" for a bias."""
        state = {}
        for key, (_, name) in self.owners.items():
            suffix = "diff" if name == "weight" else "diff_b"
            difference = (self.masters[key].detach() - self.originals[key].detach().float()).cpu()
            state[f"{key.removesuffix(name)}{suffix}"] = difference
        return state
