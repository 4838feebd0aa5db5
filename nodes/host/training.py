"""Loads a MODEL for training and makes it usable in autograd."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management
import torch
from torch import Tensor

from ...imagic.denoiser import Conditioning
from ...imagic.frozen import frozen
from ...imagic.objective import samples_per_forward
from .denoiser import HostDenoiser, has_code_inside, running
from .kernels import give_a_backward
from .probe import probe


@contextmanager
def training(
    model, samples: Tensor, conditioning: Conditioning, fixed: dict
) -> Iterator[tuple[HostDenoiser, Tensor, Conditioning]]:
    """Load MODEL and make it trainable-through, without changing it.

    Args:
        samples: the LATENT's samples, [1, C, ...], in the autoencoder's scale.
        conditioning, fixed: the tensors and the other entries of a CONDITIONING.

    Yields:
        The denoiser, the latent in the model's scale and the conditioning, on the model's device.

    Raises:
        ValueError: the model does not fit on its device whole, or is not one to train, see `probe`.
    """
    give_a_backward()
    model = _load_whole(model, samples)
    # The host runs nodes in inference mode; leaving it does not unmark what was made in it, hence the clones.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        frozen(model.model, foreign=has_code_inside(model)),
        _host_knows_it_trains(),
        running(model),
    ):
        device = model.load_device
        latent = model.model.process_latent_in(samples.clone()).to(device, torch.float32)
        conditioning = {name: tensor.clone().to(device) for name, tensor in conditioning.items()}
        fixed = {name: value.clone() if isinstance(value, Tensor) else value for name, value in fixed.items()}
        denoiser = HostDenoiser(model, fixed)
        denoiser.overwrites = probe(denoiser, latent, conditioning)
        yield denoiser, latent, conditioning


def _load_whole(model, samples: Tensor):
    """Load MODEL with every weight on its device, for a layer that streams its weight in has none to train beside.

    Returns:
        What was loaded: MODEL, or where the host would stream its weights, the host's own stand-in for it.
    """
    if getattr(model, "is_dynamic", lambda: False)():
        model = model.get_non_dynamic_delegate()
    # Activations are kept for the backward pass, so ask for several times what sampling needs.
    required = model.model.memory_required([4 * samples_per_forward(samples), *samples.shape[1:]])
    load = comfy.model_management.load_models_gpu
    whole = {"force_full_load": True} if "force_full_load" in inspect.signature(load).parameters else {}
    load([model], memory_required=required, **whole)
    if any(weight.device.type != model.load_device.type for weight in model.model.diffusion_model.parameters()):
        raise ValueError(
            "The model does not fit on the GPU whole, which training needs: close what else uses the GPU, "
            "start ComfyUI without --lowvram and --novram, or take a smaller model."
        )
    return model


@contextmanager
def _host_knows_it_trains() -> Iterator[None]:
    """Newer hosts then leave out kernels that have no backward."""
    management = comfy.model_management
    if not hasattr(management, "in_training"):
        yield
        return
    before, management.in_training = management.in_training, True
    try:
        yield
    finally:
        management.in_training = before
