"""Where ComfyUI has the weights of a network's layers.

It goes by the names of the original checkpoints, and by their layers: of what diffusers keeps in several, as query, key
and value, it makes some in one, a part of the rows each. diffusers' own converters take whole checkpoints only, of the
published sizes, and not an update of some layers.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from diffusers.loaders.single_file_utils import DIFFUSERS_TO_LDM_MAPPING
from diffusers.models.normalization import AdaLayerNormContinuous
from torch import Tensor, nn

from .families import Flux, PipelineFamily, QwenImage, StableDiffusion3

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_EMBEDDERS = "timestep_embedder", "text_embedder", "guidance_embedder"
# A layer of ComfyUI that several have in common holds their rows in the order in which they stand here.
_FLUX = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    **{
        f"time_text_embed.{embedder}.linear_{number}": f"{ours}.{layer}"
        for embedder, ours in zip(_EMBEDDERS, ("time_in", "vector_in", "guidance_in"), strict=True)
        for number, layer in ((1, "in_layer"), (2, "out_layer"))
    },
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
_FLUX_DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.to_q": "img_attn.qkv",
    "attn.to_k": "img_attn.qkv",
    "attn.to_v": "img_attn.qkv",
    "attn.add_q_proj": "txt_attn.qkv",
    "attn.add_k_proj": "txt_attn.qkv",
    "attn.add_v_proj": "txt_attn.qkv",
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}
_FLUX_SINGLE = {
    "norm.linear": "modulation.lin",
    "attn.to_q": "linear1",
    "attn.to_k": "linear1",
    "attn.to_v": "linear1",
    "proj_mlp": "linear1",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
    "proj_out": "linear2",
}
_SD3 = {
    "pos_embed.proj": "x_embedder.proj",
    "context_embedder": "context_embedder",
    **{
        f"time_text_embed.{embedder}.linear_{number}": f"{ours}.mlp.{2 * (number - 1)}"
        for embedder, ours in zip(_EMBEDDERS[:2], ("t_embedder", "y_embedder"), strict=True)
        for number in (1, 2)
    },
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
_SD3_BLOCK = {
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "attn.to_q": "x_block.attn.qkv",
    "attn.to_k": "x_block.attn.qkv",
    "attn.to_v": "x_block.attn.qkv",
    "attn.add_q_proj": "context_block.attn.qkv",
    "attn.add_k_proj": "context_block.attn.qkv",
    "attn.add_v_proj": "context_block.attn.qkv",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn2.to_q": "x_block.attn2.qkv",
    "attn2.to_k": "x_block.attn2.qkv",
    "attn2.to_v": "x_block.attn2.qkv",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "attn2.to_out.0": "x_block.attn2.proj",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}


@dataclass(frozen=True)
class Place:
    """Rows of a layer of ComfyUI's that are one of diffusers' layers."""

    layer: str
    start: int
    rows: int
    swapped: bool = False  # its halves, scale and shift

    def of(self, tensor: Tensor) -> Tensor:
        """That layer's own part of a weight, bias or B of a LoRA, [rows of ComfyUI's layer, ...]."""
        return self.turned(tensor[self.start : self.start + self.rows])

    def turned(self, own: Tensor) -> Tensor:
        """Rows as diffusers has them, of ComfyUI's; or the other way round."""
        return torch.cat(own.chunk(2)[::-1]) if self.swapped else own


def places(family: PipelineFamily) -> dict[str, Place]:
    """By name of the layers of a family's network that have weights."""
    layers = {
        name: layer for name, layer in family.network.named_modules() if getattr(layer, "weight", None) is not None
    }
    modules, rows, found = dict(family.network.named_modules()), Counter[str](), {}
    for name, theirs in _names(family, layers):
        # The last modulation of its kind, of which diffusers has the scale first.
        swaps = isinstance(family, Flux | StableDiffusion3) and isinstance(
            modules.get(name.removesuffix(".linear")), AdaLayerNormContinuous
        )
        found[name] = Place(theirs, rows[theirs], len(layers[name].weight), swaps)
        rows[theirs] += len(layers[name].weight)
    return found


def _names(family: PipelineFamily, layers: dict[str, nn.Module]) -> Iterator[tuple[str, str]]:
    """Names of layers here and there, for rows of one layer in their order."""
    pairs: Iterable[tuple[str, str]]
    if isinstance(family, QwenImage):
        pairs = ((name, name) for name in layers)
    elif isinstance(family, Flux | StableDiffusion3):
        pairs = _of_transformer(family)
    else:
        pairs = _of_unet(family.network, layers)
    return ((name, theirs) for name, theirs in pairs if name in layers)


def _of_transformer(family: PipelineFamily) -> Iterator[tuple[str, str]]:
    network = family.network
    if isinstance(family, Flux):
        yield from _FLUX.items()
        kinds = [("transformer_blocks", "double_blocks", _FLUX_DOUBLE)]
        kinds.append(("single_transformer_blocks", "single_blocks", _FLUX_SINGLE))
    else:
        yield from _SD3.items()
        kinds = [("transformer_blocks", "joint_blocks", _SD3_BLOCK)]
    for ours, theirs, table in kinds:
        for number in range(len(getattr(network, ours))):
            for name, layer in table.items():
                yield f"{ours}.{number}.{name}", f"{theirs}.{number}.{layer}"


def _of_unet(network: nn.Module, layers: dict[str, nn.Module]) -> Iterator[tuple[str, str]]:
    known = DIFFUSERS_TO_LDM_MAPPING["unet"]
    outer = {
        name.removesuffix(".weight"): layer.removesuffix(".weight")
        for name, layer in {**known["layers"], **known["addition_embed_type"]}.items()
    }
    yield from outer.items()
    modules = _modules_of_unet(network)
    for name in layers:
        # The third of these, "down_blocks.0.resnets.1", or the second of the middle, "mid_block.resnets.1".
        module = re.match(r"(?:mid_block|\w+\.\d+)\.\w+\.\d+", name)
        if module and module[0] in modules:
            rest = name[module.end() + 1 :]
            rest = _RESNET[rest] if ".resnets." in module[0] else "op" if ".downs" in module[0] else rest
            yield name, f"{modules[module[0]]}.{rest}"


def _modules_of_unet(network: nn.Module) -> dict[str, str]:
    """Of the lists "input_blocks", "middle_block", "output_blocks", which number all blocks of a side as one."""
    found = {"mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1"}
    found["mid_block.resnets.1"] = "middle_block.2"
    for ours, theirs, number in (("down_blocks", "input_blocks", 1), ("up_blocks", "output_blocks", 0)):
        for index, block in enumerate(getattr(network, ours)):
            prefix = f"{ours}.{index}"
            for layer in range(len(block.resnets)):
                found[f"{prefix}.resnets.{layer}"] = f"{theirs}.{number}.0"
                found[f"{prefix}.attentions.{layer}"] = f"{theirs}.{number}.1"
                number += 1
            if getattr(block, "downsamplers", None):
                found[f"{prefix}.downsamplers.0"] = f"{theirs}.{number}.0"
                number += 1
            # Of the last one before it, after its attention layer where it has one.
            found[f"{prefix}.upsamplers.0"] = f"{theirs}.{number - 1}.{2 if hasattr(block, 'attentions') else 1}"
    return found
