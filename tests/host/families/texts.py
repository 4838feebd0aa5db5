"""Texts as the families' encoders give them, and networks that read them as trained ones do.

What a text would say is random. What its numbers are like is not: encoders differ in scale, in length, and in a few
channels that are far larger than all others (massive activations, arXiv 2402.17762), above all in the first token.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .family import Family


@dataclass(frozen=True)
class Encoder:
    scale: float  # of its usual channels
    massive: float = 1.0  # times as large is one channel, in all tokens
    first: float = 1.0  # times as large is another channel, in the first token, which begins every text
    template: float = 0.0  # share of the tokens that stand before every text


CLIP = Encoder(1.0, massive=30)
T5 = Encoder(0.2, massive=5)
LANGUAGE_MODEL = Encoder(5.0, massive=30, first=600, template=0.2)
POOLED = Encoder(1.0)

# Networks that read a T5, by the host's names. UNets and Stable Cascade read CLIP, all others a language model.
READ_T5 = {"flux", "chroma", "chroma_radiance", "pixart_alpha", "pixart_sigma", "ltxv", "mochi_preview", "wan2.1"}
READ_T5 |= {"cosmos", "cosmos_predict2", "cogvideox", "hidream"}
OTHERS = {"conditioning_mt5xl": T5, "conditioning_byt5small": T5, "conditioning_llama3": LANGUAGE_MODEL}


def encoder(family: Family, entry: str) -> Encoder:
    """What makes an entry of the family's CONDITIONING."""
    if entry != "cross_attn":
        return OTHERS.get(entry, POOLED)
    kind = family.full.get("image_model")
    if family.config in ("FluxSchnell", "LongCatImage") and family.full["context_in_dim"] < 4096:
        return LANGUAGE_MODEL
    if kind in READ_T5 or family.config == "AuraFlow":
        return T5
    return CLIP if kind in (None, "hydit", "hydit1") else LANGUAGE_MODEL


@torch.inference_mode()
def conditioning(family: Family, seed: int) -> list:
    """A CONDITIONING as the family's text encoders give it."""
    generator = torch.Generator().manual_seed(seed)
    text = {name: tokens(encoder(family, name), shape, generator) for name, shape in family.text.items()}
    if family.config == "SD3":  # two encoders after one another, the first padded with zeros to the second's width
        first, second = text["cross_attn"].chunk(2, 1)
        second *= T5.scale
        first[..., first.shape[-1] // 2 :] = 0
    return [[text.pop("cross_attn"), {**text, **family.fixed}]]


def tokens(encoder: Encoder, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Random ones [1, ..., width]; the template, the channels' sizes and the first token are the encoder's own."""
    own = torch.Generator().manual_seed(0)
    sizes = encoder.scale * torch.exp(0.3 * torch.randn(shape[-1], generator=own))
    sizes[1] *= encoder.massive
    text, template = (torch.randn(1, *shape, generator=each) for each in (generator, own))
    if len(shape) > 1:
        length = round(encoder.template * shape[-2])
        text[..., :length, :] = template[..., :length, :]
        text[..., 0, 2] *= encoder.first
    return text * sizes


@contextmanager
def calibrating(network: nn.Module, text: dict[str, Tensor]) -> Iterator[None]:
    """Inside, what a random network computes makes each layer that reads a text hear all its channels alike.

    As training would have made it do. Else a network would hear the massive channels alone, which are the same in every
    text. Layers behind a norm read as the others do, so what counts is the width of what they read.
    """
    widths, known = {tensor.shape[-1] for tensor in text.values()}, set()

    def calibrate(layer: nn.Linear, args: tuple[Tensor]) -> None:
        if layer.in_features in widths and layer not in known:
            known.add(layer)
            channels = args[0].flatten(0, -2).float().square().mean(0).sqrt()
            # Small ones stay small: noise.
            layer.weight /= channels.clamp(min=channels[channels > 0].median()).to(layer.weight)

    hooks = [layer.register_forward_pre_hook(calibrate) for layer in network.modules() if isinstance(layer, nn.Linear)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
