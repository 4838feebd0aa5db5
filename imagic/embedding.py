"""Stage A: optimize the text embedding until the frozen model reconstructs the photo (arXiv 2210.09276, Sec. 3.2)."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor

from .checkpointing import checkpointed
from .denoiser import Conditioning, Denoiser, is_text
from .objective import NoiseSampler, denoising_losses
from .training import History, NonFiniteLoss, Step, check_schedule, keeping_overwritten, train
from .validation import Validation


def optimize_embedding(
    denoiser: Denoiser,
    latent: Tensor,
    conditioning: Conditioning,
    *,
    steps: int = 25,
    learning_rate: float = 2e-2,
    schedule: str = "cosine",
    samples: int = 2,
    gradient_checkpointing: bool = False,
    seed: int = 0,
    on_step: Callable[[Step], None] = lambda step: None,
) -> tuple[Conditioning, History]:
    """Find the embedding near the target text's that best explains the photo.

    Args:
        latent: the photo, [1, C, ...], in the model's scale.
        conditioning: the target text, or a source caption that is to anchor many targets. Left unchanged.
        steps, learning_rate: of Adam. The paper: 100 x 1e-3 (Imagen), 1000 x 2e-3 (Stable Diffusion).
        schedule: of the learning rate, "cosine" or "constant" (the paper), see `training.SCHEDULES`.
        samples: (noise, level) pairs a step, the levels stratified over the schedule. The paper: 1.
        gradient_checkpointing: keep only each block's input and compute the block again in the backward pass; about a
            third slower, a fraction of the memory.
        on_step: called after every step; what it raises ends the run.

    Returns:
        The optimized conditioning, fp32, and the history.

    Raises:
        ValueError: the schedule is unknown.
        NonFiniteLoss: the loss became NaN or infinite.
    """
    check_schedule(schedule)
    optimized = {
        name: tensor.detach().float().clone().requires_grad_() if is_text(name, tensor) else tensor
        for name, tensor in conditioning.items()
    }
    noise = NoiseSampler(latent, samples, seed)
    validation = Validation(denoiser, latent)

    def objective() -> Iterator[tuple[Tensor, Tensor]]:
        return denoising_losses(denoiser, latent, optimized, *noise.draw(denoiser))

    history = History(validation_before=validation.loss(denoiser, optimized))
    leaves = [tensor for tensor in optimized.values() if tensor.requires_grad]
    half = denoiser.dtype == torch.float16
    around = partial(keeping_overwritten, denoiser)
    # A forward and a backward through activations, and with checkpointing a second forward.
    cost = 3 if gradient_checkpointing else 2
    with ExitStack() as stack:
        if gradient_checkpointing:
            stack.enter_context(checkpointed(denoiser.network, denoiser.overwrites))
        for step in train(leaves, objective, samples, steps, learning_rate, schedule, around, half):
            history.losses.append(step.loss)
            step.validation = validation.follow(denoiser, optimized, step.number * samples * cost)
            on_step(step)
    optimized = {name: tensor.detach() for name, tensor in optimized.items()}
    history.validation_after = validation.loss(denoiser, optimized)
    # The last update may be the one that went too far.
    if not math.isfinite(history.validation_after):
        raise NonFiniteLoss(steps, learning_rate)
    history.forward_equivalents = steps * samples * cost + validation.evaluations
    return optimized, history
