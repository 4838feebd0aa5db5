"""A trial run that finds out what no host can be asked about a model."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...imagic.adapters import LoRA, in_attention
from ...imagic.causes import as_cause
from ...imagic.checkpointing import checkpointed
from ...imagic.denoiser import Conditioning, is_text
from ...imagic.saving import counting
from ...imagic.training import keeping_overwritten
from .denoiser import HostDenoiser

SIZE = 64  # latent positions in each direction: a multiple of every patch, and PixArt takes no less


@dataclass(frozen=True)
class Trial:
    """What training needs, as a trial run found it."""

    saved: int  # bytes that autograd keeps of `corner`
    parameters: int  # how many numbers are trained


def probe(
    denoiser: HostDenoiser,
    latent: Tensor,
    conditioning: Conditioning,
    tune: str | None,
    rank: int,
    gradient_checkpointing: bool,
) -> Trial:
    """Run a corner of the photo through the model and back, and note on `denoiser` whether the network overwrites.

    Args:
        tune, rank, gradient_checkpointing: as `training` has them.

    Raises:
        ValueError: the model wants more than a noisy latent and a text, does not run on these, or does not read the
            text.
    """
    noisy = corner(latent).detach().clone().requires_grad_()
    text = {
        name: tensor.detach().float().requires_grad_() if is_text(name, tensor) else tensor
        for name, tensor in conditioning.items()
    }
    with errors_as_a_sentence():
        inputs = denoiser.inputs(noisy, text)
    if "c_concat" in inputs:
        raise ValueError(
            "This model wants a second picture beside the noisy one, as edit, inpainting and video models do: "
            "load a text-to-image model."
        )
    sigma = denoiser.sigma(torch.tensor([0.5]))
    trained = _of_tuning(denoiser.network, tune, rank)
    with trained as parameters, errors_as_a_sentence(), counting(denoiser.network) as saved:
        denoiser(noisy, sigma, text)
    denoiser.overwrites = saved.overwritten
    # The sentence is made outside of the stack, which would hold the error that it raises.
    with errors_as_a_sentence(), ExitStack() as stack:
        stack.enter_context(keeping_overwritten(denoiser))
        if gradient_checkpointing:
            stack.enter_context(checkpointed(denoiser.network, denoiser.overwrites))
        # The photo's own gradient takes the backward pass through every block.
        denoiser(noisy, sigma, text).sum().backward()
    if text["cross_attn"].grad is None:
        raise ValueError(
            "This model does not read the embedding of the text's tokens, so there is nothing to optimize: "
            "load a text-to-image model."
        )
    return Trial(saved.most(gradient_checkpointing), parameters)


def corner(latent: Tensor) -> Tensor:
    """As much of one picture as tells whether a model runs at all, [1, C, ...]."""
    return latent[:1, ..., :SIZE, :SIZE]


def short_of_memory(error: Exception) -> bool:
    """Whether memory has run out; on Apple's devices that is an ordinary RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error)
    )


@contextmanager
def errors_as_a_sentence() -> Iterator[None]:
    """Makes a sentence of what a model raises at inputs that are not for it; memory that runs out stays as it is."""
    try:
        yield
    except (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if short_of_memory(error):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"The model does not run on this photo and text ({reason}): connect a text-to-image model and the text "
            "encoder and the VAE that belong to it."
        ) from as_cause(error)


@contextmanager
def _of_tuning(network: nn.Module, tune: str | None, rank: int) -> Iterator[int]:
    """Inside, layers keep for the backward pass what tuning needs. Yields how many numbers that would train."""
    if tune is None:
        yield 0
        return
    if tune.startswith("LoRA"):
        # Of rank 1, which keeps the same inputs of layers.
        lora = LoRA(network, 1, 0, next(network.parameters()).device, only_attention=tune == "LoRA")
        with lora.attached():
            yield rank * sum(parameter.numel() for parameter in lora.parameters())
        return
    weights = [
        weight
        for path, module in network.named_modules()
        for weight in module.parameters(recurse=False)
        if weight.is_floating_point() and not weight.requires_grad and (tune != "attention" or in_attention(path))
    ]
    try:
        for weight in weights:
            weight.requires_grad_()
        yield sum(weight.numel() for weight in weights)
    finally:
        for weight in weights:
            weight.requires_grad_(False)
