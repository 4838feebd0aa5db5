"""Finds the repeated blocks of a network, whatever family it is of."""

from torch import nn


def blocks(network: nn.Module) -> dict[str, nn.Module]:
    """The network's blocks by name: the residual and transformer blocks that its lists and sequences are made of.

    Every family keeps them in `ModuleList`s and `Sequential`s directly under the network (a UNet's `input_blocks`,
    a DiT's `double_blocks`). What stands in such a container and owns at least two layers with weights is a block;
    single convolutions, embedders and the final layer are not.
    """
    found = {}

    def descend(path: str, module: nn.Module, inside: bool) -> None:
        for name, child in module.named_children():
            child_path = f"{path}.{name}" if path else name
            if isinstance(child, nn.ModuleList | nn.Sequential | nn.ModuleDict):
                descend(child_path, child, True)
            elif _is_group(child) or (not inside and _has_lists(child)):
                descend(child_path, child, False)
            elif inside and sum(1 for layer in child.modules() if _has_weight(layer)) > 1:
                found[child_path] = child

    descend("", network, False)
    return found


def _is_group(module: nn.Module) -> bool:
    """Whether it is nothing but lists of blocks, as diffusers' `down_blocks.0` and `mid_block` are."""
    owners = [child for child in module.children() if any(_has_weight(layer) for layer in child.modules())]
    return bool(owners) and all(isinstance(child, nn.ModuleList) for child in owners)


def _has_lists(module: nn.Module) -> bool:
    return any(isinstance(child, nn.ModuleList | nn.Sequential) for child in module.children())


def _has_weight(layer: nn.Module) -> bool:
    weight = getattr(layer, "weight", None)
    return weight is not None and weight.ndim >= 2
