"""Stage B: freeze the optimized embedding, tune the network until it reconstructs the photo (arXiv 2210.09276, 3.3)."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from .adapters import LoRA
from .checkpointing import checkpointed
from .denoiser import Conditioning, Denoiser
from .objective import NoiseSampler, denoising_losses
from .training import History, NonFiniteLoss, Step, check_schedule, keeping_overwritten, train
from .validation import Validation
from .weights import Weights

TUNE_MODES = ("LoRA", "LoRA all layers", "attention", "all weights")


def fine_tune(
    denoiser: Denoiser,
    latent: Tensor,
    conditioning: Conditioning,
    *,
    tune: str = "LoRA",
    rank: int = 16,
    steps: int = 10,
    learning_rate: float = 1e-3,
    schedule: str = "cosine",
    samples: int = 2,
    gradient_checkpointing: bool = False,
    seed: int = 0,
    on_step: Callable[[Step], None] = lambda step: None,
) -> tuple[dict[str, Tensor], History]:
    """Tune the network to the photo under the optimized embedding.

    Args:
        latent: the photo, [1, C, ...], in the model's scale.
        conditioning: what stage A returned; frozen here.
        tune: one of `TUNE_MODES`: low-rank updates of the attention layers (where none is named so, of all layers) or
            of every linear and convolutional layer of the network's blocks, the full weights of the attention layers,
            or all weights (the paper).
        rank: of the LoRA updates; unused otherwise.
        steps, learning_rate: of Adam, in units of what each layer puts out, see `adapters.LoRA` and `weights.Weights`:
            0.001 lets a step change it by up to 1 %. The paper: 1500 steps, and for all weights of Stable Diffusion
            5e-7 a weight, which is about 6e-5 at the 1280 inputs that are the median of its layers'.
        schedule: of the learning rate, "cosine" or "constant" (the paper), see `training.SCHEDULES`.
        samples: (noise, level) pairs a step, the levels stratified over the schedule. The paper: 1.
        gradient_checkpointing: keep only each block's input and compute the block again in the backward pass; about a
            third slower, a fraction of the memory.
        on_step: called after every step; what it raises ends the run.

    Returns:
        The update, named by layer as LoRA files name it ("<layer>.lora_up.weight", "<layer>.diff", ...), fp32 on
        the CPU, and the history. The network itself is as it was.

    Raises:
        ValueError: the schedule or what to tune is unknown.
        NonFiniteLoss: the loss became NaN or infinite.
    """
    check_schedule(schedule)
    network = denoiser.network
    if tune not in TUNE_MODES:
        raise ValueError(f"Unknown choice of what to tune, {tune!r}: choose one of {', '.join(TUNE_MODES)}.")
    if tune.startswith("LoRA"):
        adapter = LoRA(network, rank, seed, latent.device, only_attention=tune == "LoRA")
    else:
        adapter = Weights(network, only_attention=tune == "attention")
    # Not the noise that stage A has seen at the same seed.
    noise = NoiseSampler(latent, samples, seed ^ 1)
    validation = Validation(denoiser, latent)

    def objective() -> Iterator[tuple[Tensor, Tensor]]:
        return denoising_losses(denoiser, latent, conditioning, *noise.draw(denoiser))

    @contextmanager
    def tuned():
        with keeping_overwritten(denoiser), adapter.attached():
            yield

    # A forward, a backward through activations and the weight gradients, and with checkpointing a second forward.
    cost = 4 if gradient_checkpointing else 3
    with adapter.measuring():
        history = History(validation_before=validation.loss(denoiser, conditioning))
    with ExitStack() as stack:
        if gradient_checkpointing:
            stack.enter_context(checkpointed(network, denoiser.overwrites))
        half = denoiser.dtype == torch.float16
        parameters, units = adapter.parameters(), adapter.step_units()
        for step in train(parameters, objective, samples, steps, learning_rate, schedule, tuned, half, units):
            history.losses.append(step.loss)
            with adapter.attached():
                step.validation = validation.follow(denoiser, conditioning, step.number * samples * cost)
            on_step(step)
    with adapter.attached():
        history.validation_after = validation.loss(denoiser, conditioning)
    # The last update may be the one that went too far.
    if not math.isfinite(history.validation_after):
        raise NonFiniteLoss(steps, learning_rate)
    history.forward_equivalents = steps * samples * cost + validation.evaluations
    return adapter.state_dict(), history
