"""A trial run that finds out what no host can be asked about a model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ...imagic.denoiser import Conditioning, is_text
from .denoiser import HostDenoiser

SIZE = 64  # latent positions in each direction: a multiple of every patch, and PixArt takes no less


def probe(denoiser: HostDenoiser, latent: Tensor, conditioning: Conditioning) -> bool:
    """Run a corner of the photo through the model and back.

    Returns:
        Whether the network overwrites what autograd keeps for the backward pass, see `Denoiser.overwrites`.

    Raises:
        ValueError: the model wants more than a noisy latent and a text, does not run on these, or does not read the
            text.
    """
    noisy = corner(latent).detach().clone().requires_grad_()
    text = {
        name: tensor.detach().float().requires_grad_() if is_text(name, tensor) else tensor
        for name, tensor in conditioning.items()
    }
    with explained():
        inputs = denoiser.inputs(noisy, text)
    if "c_concat" in inputs:
        raise ValueError(
            "This model wants a second picture beside the noisy one, as edit, inpainting and video models do: "
            "load a text-to-image model."
        )
    kept = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append((tensor, tensor._version))
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with explained(), _needing_gradients(denoiser.network), hooks:
        denoised = denoiser(noisy, denoiser.sigma(torch.tensor([0.5])), text)
        overwrites = any(tensor._version != version for tensor, version in kept)
        # The photo's own gradient takes the backward pass through every block.
        _, tokens = torch.autograd.grad(denoised.sum(), [noisy, text["cross_attn"]], allow_unused=True)
    if tokens is None:
        raise ValueError(
            "This model does not read the embedding of the text's tokens, so there is nothing to optimize: "
            "load a text-to-image model."
        )
    return overwrites


def corner(latent: Tensor) -> Tensor:
    """As much of one picture as tells whether a model runs at all, [1, C, ...]."""
    return latent[:1, ..., :SIZE, :SIZE]


@contextmanager
def explained() -> Iterator[None]:
    """Makes a sentence of what a model raises at inputs that are not for it; memory that runs out stays as it is."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"The model does not run on this photo and text ({reason}): connect a text-to-image model and the text "
            "encoder and the VAE that belong to it."
        ) from error


@contextmanager
def _needing_gradients(network: nn.Module) -> Iterator[None]:
    """Inside, layers keep for the backward pass all that tuning any of them could need."""
    weights = [weight for weight in network.parameters() if weight.is_floating_point() and not weight.requires_grad]
    try:
        for weight in weights:
            weight.requires_grad_()
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(False)
