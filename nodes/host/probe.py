"""A trial run that finds out what no host can be asked about a model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ...imagic.denoiser import Conditioning, Denoiser, is_text

SIZE = 64  # latent positions in each direction: a multiple of every patch, and PixArt takes no less


def probe(denoiser: Denoiser, latent: Tensor, conditioning: Conditioning) -> bool:
    """Run a corner of the photo through the model and back.

    Returns:
        Whether the network overwrites what autograd keeps for the backward pass, see `Denoiser.overwrites`.

    Raises:
        ValueError: the model does not run on a photo and a text alone, or does not read the text.
    """
    noisy = latent[..., :SIZE, :SIZE].detach().clone().requires_grad_()
    text = {
        name: tensor.detach().float().requires_grad_() if is_text(name, tensor) else tensor
        for name, tensor in conditioning.items()
    }
    leaves = [tensor for tensor in text.values() if tensor.requires_grad]
    kept = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append((tensor, tensor._version))
        return tensor

    try:
        with (
            _needing_gradients(denoiser.network),
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        ):
            denoised = denoiser(noisy, denoiser.sigma(torch.tensor([0.5])), text)
            overwrites = any(tensor._version != version for tensor, version in kept)
            # The photo's own gradient takes the backward pass through every block.
            _, *gradients = torch.autograd.grad(denoised.sum(), [noisy, *leaves], allow_unused=True)
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"The model does not run on this photo and text ({reason}): connect a text-to-image model and the text "
            "encoder and the VAE that belong to it."
        ) from error
    if all(gradient is None for gradient in gradients):
        raise ValueError(
            "This model does not read the text's embedding, so there is nothing to optimize or interpolate: "
            "load a text-to-image model."
        )
    return overwrites


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
