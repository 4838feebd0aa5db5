"""Asking a model in ComfyUI without training it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import comfy.model_management
import torch
from torch import Tensor

from ...imagic.denoiser import Conditioning
from .denoiser import HostDenoiser
from .memory import CHANGES_UNTRAINED, sampling_needs, spared
from .probe import corner, errors_as_a_sentence
from .versions import running


@contextmanager
def evaluating(
    model, samples: Tensor, texts: list[Conditioning], fixed: dict
) -> Iterator[tuple[HostDenoiser, Tensor, list[Conditioning]]]:
    """Load MODEL as for sampling, to ask it without gradients.

    Args:
        samples: latents, [N, C, ...], in the autoencoder's scale.
        fixed: entries of the CONDITIONING that are no text tensors.

    Yields:
        The denoiser, the latents in the model's scale and the texts, on the model's device.

    Raises:
        ValueError: the model does not run on these.
    """
    with spared(CHANGES_UNTRAINED), ExitStack() as stack:
        comfy.model_management.load_models_gpu([model], memory_required=sampling_needs(model, samples))
        stack.enter_context(running(model))
        device = model.load_device
        latents = model.model.process_latent_in(samples).to(device, torch.float32)
        texts = [{name: tensor.to(device) for name, tensor in text.items()} for text in texts]
        denoiser = HostDenoiser(model, fixed)
        with errors_as_a_sentence(), torch.no_grad():
            for text in texts:
                denoiser(corner(latents), denoiser.sigma(torch.tensor([0.5])), text)
        yield denoiser, latents, texts
