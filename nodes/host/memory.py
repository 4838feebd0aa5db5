"""The device's memory: how much a run needs, room for it, and what to change when it is short."""

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management
import torch
from torch import Tensor

from ...imagic.causes import as_cause
from ...imagic.objective import samples_per_forward
from .probe import Trial, corner, short_of_memory
from .versions import as_the_host_moves_weights, loaded_with, take_off_device

CHANGES = (
    "scale the photo to fewer pixels, turn on gradient_checkpointing, or tune LoRA in place of full weights and on a "
    "model in fp8 or 16 bits"
)
CHANGES_UNTRAINED = "scale the photo to fewer pixels, or load the model in fp8 or 16 bits"

ALL = 1e30  # bytes, as the host itself asks for everything


@contextmanager
def spared(changes: str = CHANGES) -> Iterator[None]:
    """Inside, memory that runs out ends in a sentence that says what to change.

    It stays the error that the host knows, which then also takes its models off the device.

    Raises:
        torch.OutOfMemoryError: with that sentence.
    """
    try:
        yield
    except RuntimeError as error:
        if not short_of_memory(error):
            raise
        raise torch.OutOfMemoryError(f"The GPU has too little memory for this: {changes}.") from as_cause(error)


def sampling_needs(model, samples: Tensor) -> float:
    """Bytes that the host reckons with for a forward pass of as many noisy latents as the stages take at a time."""
    return model.model.memory_required([samples_per_forward(samples), *samples.shape[1:]])


def training_keeps(trial: Trial, latent: Tensor, noise_samples: int) -> float:
    """Bytes that training holds beside the model and the forward pass at work.

    What autograd keeps is scaled by the number of positions. This overestimates the text's share, which does not grow.
    Adam holds an fp32 copy of what is trained, its gradient and two moments.
    """
    at_a_time = min(noise_samples, samples_per_forward(latent))
    positions = at_a_time * latent[:1].numel() / corner(latent).numel()
    return trial.saved * positions + 4 * 4 * trial.parameters


def make_room(model, needed: float) -> None:
    """Have the host take other models off the device until `needed` bytes are free."""
    if model.load_device.type == "cpu":
        return
    stay = [loaded for loaded in comfy.model_management.current_loaded_models if _is_one_of(loaded, model)]
    with as_the_host_moves_weights():
        comfy.model_management.free_memory(needed, model.load_device, keep_loaded=stay)


def take_back(stand_in) -> None:
    """Have the host take a stand-in's weights off the device: once it is gone, the host no longer counts them."""
    stay = [loaded for loaded in comfy.model_management.current_loaded_models if not _is_one_of(loaded, stand_in)]
    with as_the_host_moves_weights():
        comfy.model_management.free_memory(ALL, stand_in.load_device, keep_loaded=stay)


def _is_one_of(loaded, model) -> bool:
    """Whether what the host has loaded is MODEL or runs together with it."""
    return any(loaded.model is one for one in (model, *loaded_with(model)))


def unload(model) -> None:
    """Take MODEL off its device, also where the host has loaded half of it and does not count it among its own."""
    with as_the_host_moves_weights():
        comfy.model_management.unload_all_models()
        take_off_device(model)
