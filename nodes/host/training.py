"""Loads a MODEL for training and makes it usable in autograd."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...imagic.denoiser import Conditioning
from ...imagic.frozen import frozen
from .denoiser import HostDenoiser, has_code_inside
from .kernels import give_a_backward
from .memory import CHANGES, make_room, sampling_needs, spared, take_back, training_keeps, unload
from .probe import probe
from .versions import host_knows_it_trains, load_whole, not_streamed, running


@dataclass
class Loaded:
    """A MODEL that is loaded whole, its weights ordinary tensors."""

    model: Any  # as it is loaded: MODEL, or the host's own stand-in for it
    denoiser: HostDenoiser
    samples: Tensor  # the LATENT's
    latent: Tensor  # the same in the model's scale, on the model's device
    conditioning: Conditioning  # on the model's device

    def prepare(
        self, *, tune: str | None, rank: int = 1, noise_samples: int = 64, gradient_checkpointing: bool = False
    ) -> None:
        """Try the model out, and have the host make room for training it.

        Args:
            tune, rank, noise_samples, gradient_checkpointing: as `fine_tune` has them (there `samples`); `tune` is None
                for the embedding alone. What autograd keeps depends on them, and so does the memory that is needed.

        Raises:
            ValueError: the model is not one to train, see `probe`.
        """
        trial = probe(self.denoiser, self.latent, self.conditioning, tune, rank, gradient_checkpointing)
        needed = sampling_needs(self.model, self.samples) + training_keeps(trial, self.samples, noise_samples)
        make_room(self.model, needed)


@contextmanager
def loaded(model, samples: Tensor, conditioning: Conditioning, fixed: dict) -> Iterator[Loaded]:
    """Load MODEL and make it usable in autograd, without changing it.

    Args:
        samples: the LATENT's samples, [1, C, ...], in the autoencoder's scale.
        conditioning, fixed: the tensors and the other entries of a CONDITIONING.

    Raises:
        ValueError: the model does not fit on its device whole.
        torch.OutOfMemoryError: its message says what to change.
    """
    give_a_backward()
    # The host runs nodes in inference mode; leaving it does not unmark what was made in it, hence the clones.
    with (
        spared(),
        _whole(model, samples) as model,
        torch.inference_mode(False),
        torch.enable_grad(),
        frozen(model.model, foreign=has_code_inside(model)),
        host_knows_it_trains(),
        running(model),
    ):
        device = model.load_device
        latent = model.model.process_latent_in(samples.clone()).to(device, torch.float32)
        conditioning = {name: tensor.clone().to(device) for name, tensor in conditioning.items()}
        fixed = {name: value.clone() if isinstance(value, Tensor) else value for name, value in fixed.items()}
        yield Loaded(model, HostDenoiser(model, fixed), samples, latent, conditioning)


@contextmanager
def _whole(model, samples: Tensor) -> Iterator[Any]:
    """Load MODEL with every weight on its device, for a layer that streams its weight in has none to train beside.

    Yields:
        What was loaded: MODEL, or where the host would stream its weights, the host's own stand-in for it, until the
        end.
    """
    whole = not_streamed(model)
    try:
        try:
            load_whole(whole, sampling_needs(whole, samples))
        except torch.OutOfMemoryError:
            unload(whole)
            raise
        if any(weight.device.type != whole.load_device.type for weight in whole.model.diffusion_model.parameters()):
            unload(whole)
            raise ValueError(
                "The model does not fit on the GPU whole, which training needs: close what else uses the GPU, "
                f"start ComfyUI without --lowvram and --novram, or {CHANGES}."
            )
        yield whole
    finally:
        if whole is not model:
            take_back(whole)
