"""Stage A: optimize the text embedding until the frozen model reconstructs the photo (arXiv 2210.09276, Sec. 3.2)."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor

from .checkpointing import checkpointed
from .denoiser import Conditioning, Denoiser, is_text
from .objective import NoiseSampler, denoising_loss, in_parts
from .sizes import text_sizes
from .training import History, NonFiniteLoss, Step, check_schedule, keeping_overwritten, train
from .validation import Validation


def optimize_embedding(
    denoiser: Denoiser,
    latent: Tensor,
    conditioning: Conditioning,
    *,
    steps: int = 25,
    learning_rate: float = 2.5e-2,
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
        steps, learning_rate: of Adam, in units of the text's own size, see `sizes.text_sizes`: 0.025 moves each number
            by up to 2.5 % of what its encoder's numbers usually are. The paper: 100 x 1e-3 (Imagen), 1000 x 2e-3
            (Stable Diffusion, whose text has a size of about one).
        schedule: of the learning rate, "cosine" or "constant" (the paper), see `training.SCHEDULES`.
        samples: (noise, level) pairs a step, the levels stratified over the schedule. The paper: 1.
        gradient_checkpointing: keep only each block's input and compute the block again in the backward pass: half as
            many evaluations more, a fraction of the memory.
        on_step: called after every step; what it raises ends the run.

    Returns:
        The optimized conditioning, fp32, and the history.

    Raises:
        ValueError: the schedule is unknown.
        NonFiniteLoss: the loss became NaN or infinite.
    """
    check_schedule(schedule)
    start = {
        name: tensor.detach().float().clone() if is_text(name, tensor) else tensor
        for name, tensor in conditioning.items()
    }
    units = {name: text_sizes(tensor) for name, tensor in start.items() if is_text(name, tensor)}
    moved = {name: torch.zeros_like(unit).requires_grad_() for name, unit in units.items()}  # in these units
    noise = NoiseSampler(latent, samples, seed)
    validation = Validation(denoiser, latent)

    def optimized() -> Conditioning:
        return start | {name: torch.addcmul(start[name], units[name], moved[name]) for name in moved}

    def objective() -> Iterator[tuple[Tensor, Tensor]]:
        # Each part is differentiated before the next is computed, so each has a graph of its own.
        for part in in_parts(latent, *noise.draw(denoiser)):
            yield denoising_loss(denoiser, latent, optimized(), *part)

    history = History(validation_before=validation.loss(denoiser, start))
    half = denoiser.dtype == torch.float16
    around = partial(keeping_overwritten, denoiser)
    # A forward and a backward through activations, and with checkpointing a second forward.
    cost = 3 if gradient_checkpointing else 2
    with ExitStack() as stack:
        if gradient_checkpointing:
            stack.enter_context(checkpointed(denoiser.network, denoiser.overwrites))
        for step in train(list(moved.values()), objective, samples, steps, learning_rate, schedule, around, half):
            history.losses.append(step.loss)
            step.validation = validation.follow(denoiser, optimized(), step.number * samples * cost)
            on_step(step)
    result = {name: tensor.detach() for name, tensor in optimized().items()}
    history.validation_after = validation.loss(denoiser, result)
    # The last update may be the one that went too far.
    if not math.isfinite(history.validation_after):
        raise NonFiniteLoss(steps, learning_rate)
    history.forward_equivalents = steps * samples * cost + validation.evaluations
    return result, history
