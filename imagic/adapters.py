"""Low-rank updates beside the layers: what stage B trains by default."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .blocks import blocks
from .sizes import output_size, rms

# At the rate 1e-3 a step changes a layer's output by at most 1 %, and A x by at most a fifth. Plain LoRA does the same
# at 128 inputs and rank 16, and full weights that move by 1e-4 do at 128 inputs.
SHARE_OF_OUTPUT = 10.0
WIDTH = 128.0


def in_attention(path: str) -> bool:
    """Whether a layer belongs to an attention layer, by the names that networks give: "attn1.to_q", "attention.qkv".

    Not so "attentions.0.ff": diffusers calls whole transformers that.
    """
    return any("attn" in part or part.endswith("attention") for part in path.lower().split("."))


def fused_with_attention(path: str) -> bool:
    """Whether a layer computes query, key and value together with the feed-forward layer, as in Flux and its kin."""
    return "single_blocks" in path.split(".") and path.endswith(".linear1")


class LoRA:
    """Low-rank updates W + B A of linear and convolutional layers (arXiv 2106.09685).

    They are computed beside the layer, by a forward hook: y + B(A(x)). The layer's weight then needs no gradient and is
    never touched, which keeps quantized and shared weights usable and saves the full-size weight gradient.

    `down` and `up` hold A and B in units of their own. Adam moves every number by about the learning rate, whatever its
    gradient, and what it moves adds up: over the inputs in A x, which begins at |x| / sqrt(3), and over the rank in
    B (A x). So at one rate for all, A overtakes B as networks get wider (LoRA+, arXiv 2402.12354) and the update grows
    with the rank (arXiv 2602.06204). The unit of A is therefore 1 / inputs, that of B size of y / (rank * size of A x),
    both times a constant; with it a step is a share of the layer's output, whatever the scale of its inputs or weights.
    """

    def __init__(
        self,
        network: nn.Module,
        rank: int,
        seed: int,
        device: torch.device | None = None,
        *,
        only_attention: bool = False,
    ):
        self.layers: dict[str, nn.Module] = {
            f"{block}.{name}" if name else block: layer
            for block, module in blocks(network).items()
            for name, layer in module.named_modules()
            if _weight_shape(layer)
        }
        if only_attention:
            attention = (name for name in self.layers if in_attention(name) or fused_with_attention(name))
            self.layers = {name: self.layers[name] for name in attention} or self.layers
        if not self.layers:
            raise ValueError("This model has no blocks with linear or convolutional layers: tune all weights instead.")
        generator = torch.Generator().manual_seed(seed)
        self.down, self.up, self.units = {}, {}, {}
        for name, layer in self.layers.items():
            out_size, in_size, *kernel = _weight_shape(layer)
            size = min(rank, out_size, in_size)
            # LoRA's own start: A Kaiming-uniform, B zero, so that the update begins at exactly zero.
            inputs = in_size * math.prod(kernel)
            bound = 1 / math.sqrt(inputs)
            down = torch.empty(size, in_size, *kernel).uniform_(-bound, bound, generator=generator)
            self.units[name] = WIDTH / inputs, 1.0  # that of B is not known yet
            self.down[name] = (down / self.units[name][0]).to(device).requires_grad_()
            self.up[name] = torch.zeros(out_size, size, *[1 for _ in kernel], device=device).requires_grad_()

    @classmethod
    def restored(cls, network: nn.Module, state: dict[str, Tensor], device: torch.device) -> "LoRA":
        """What `state_dict` gave, beside the layers of the same names.

        Raises:
            ValueError: the network has no such layers, or they are of another size.
        """
        names = [key.removesuffix(".lora_down.weight") for key in state if key.endswith(".lora_down.weight")]
        modules, adapter = dict(network.named_modules()), cls.__new__(cls)
        adapter.layers = {name: modules[name] for name in names if name in modules}
        adapter.down = {name: state[f"{name}.lora_down.weight"].to(device) for name in names}
        adapter.up = {name: state[f"{name}.lora_up.weight"].to(device) for name in names}
        adapter.units = dict.fromkeys(names, (1.0, 1.0))
        for name in names:
            if name not in modules or not fits(modules[name], adapter.up[name], adapter.down[name]):
                raise ValueError(f"The LoRA does not fit this model at {name}: load the model that it was tuned on.")
            # Files may have a convolution of one pixel as a linear layer, and the other way round.
            out_size, *inputs = _weight_shape(modules[name])
            adapter.down[name] = adapter.down[name].reshape(-1, *inputs)
            adapter.up[name] = adapter.up[name].reshape(out_size, -1, *[1 for _ in inputs[1:]])
        return adapter

    def parameters(self) -> list[Tensor]:
        return [*self.down.values(), *self.up.values()]

    def step_units(self) -> list[float]:
        """What the learning rate of each parameter counts in: `parameters` are in units of their own already."""
        return [1.0] * (2 * len(self.down))

    def matrices(self, name: str) -> tuple[Tensor, Tensor]:
        """A and B of a layer."""
        unit_down, unit_up = self.units[name]
        return self.down[name] * unit_down, self.up[name] * unit_up

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Inside, the network computes without the update; what it computes sets the unit of each B."""
        found: dict[str, list[float]] = {name: [] for name in self.layers}

        def measure(name: str):
            @torch.no_grad()
            def note(layer: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
                down, _ = self.matrices(name)
                reduced = self._reduced(layer, args[0], down)
                ratio = float(output_size(output, 1 if down.ndim > 2 else -1) / (len(down) * rms(reduced)))
                if 0 < ratio < math.inf:  # not where a layer gets or gives zeros alone
                    found[name].append(ratio)

            return note

        hooks = [layer.register_forward_hook(measure(name)) for name, layer in self.layers.items()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        for name, ratios in found.items():
            if ratios:  # some networks have layers that they do not run
                self.units[name] = self.units[name][0], SHARE_OF_OUTPUT * sum(ratios) / len(ratios)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Inside, the network computes with the update."""
        hooks = [layer.register_forward_hook(self._hook(name)) for name, layer in self.layers.items()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, name: str):
        def add_update(layer: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
            down, up = self.matrices(name)
            reduced = self._reduced(layer, args[0], down)
            expand = nn.functional.linear if up.ndim == 2 else nn.functional.conv2d
            return output + expand(reduced, up.to(reduced.dtype)).to(output.dtype)

        return add_update

    def _reduced(self, layer: nn.Module, x: Tensor, down: Tensor) -> Tensor:
        """A x."""
        if down.ndim == 2:
            return nn.functional.linear(x, down.to(x.dtype))
        # The layer's own method, since it knows of padding that is not with zeros.
        return nn.Conv2d._conv_forward(layer, x, down.to(x.dtype), None)

    def state_dict(self) -> dict[str, Tensor]:
        """The update in the layout of LoRA files; alpha equals the rank, so that strength 1 is what was trained."""
        state = {}
        for name in self.layers:
            down, up = self.matrices(name)
            state[f"{name}.lora_down.weight"] = down.detach().cpu()
            state[f"{name}.lora_up.weight"] = up.detach().cpu()
            state[f"{name}.alpha"] = torch.tensor(float(len(self.down[name])))
        return state


def _weight_shape(layer: nn.Module) -> tuple[int, ...]:
    """[out, in] of a linear layer, [out, in, height, width] of a convolution, nothing for any other.

    By what it says of itself: quantized layers may keep their weight in another shape and need not derive from Linear.
    """
    if getattr(layer, "weight", None) is None:
        return ()
    if hasattr(layer, "in_features") and hasattr(layer, "out_features"):
        return layer.out_features, layer.in_features
    if isinstance(layer, nn.Conv2d) and layer.groups == 1:
        return layer.out_channels, layer.in_channels, *layer.kernel_size
    return ()


def fits(layer: nn.Module, tensor: Tensor, down: Tensor | None = None, *, bias: bool = False) -> bool:
    """Whether an update is of a layer's size.

    Args:
        tensor: B of a LoRA, [out, rank, ...], and `down` then A, [rank, in, ...]; else the difference of full weights.
        bias: the difference is that of the bias.
    """
    own = getattr(layer, "bias" if bias else "weight", None)
    if own is None:
        return False
    shape = () if bias else _weight_shape(layer)
    if down is None:
        return tuple(tensor.shape) == (shape or tuple(own.shape))
    if not shape:
        return False
    of_outputs = len(tensor) == shape[0] and tensor[0].numel() == len(down)
    return of_outputs and down[0].numel() == math.prod(shape[1:])
