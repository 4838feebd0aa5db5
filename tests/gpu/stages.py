"""Seconds and the peak of memory of each stage: python -m tests.gpu.stages NAME PIXELS DTYPE STAGE.

Of all but a whole edit the seconds are those of a step.
"""

import json
import math
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from imagic import fine_tune, interpolate, optimize_embedding
from imagic.adapters import LoRA
from imagic.denoiser import Conditioning
from imagic.diffusers import DiffusersDenoiser
from imagic.diffusers.sampling import sample_edit
from imagic.region import edit_region

from . import models

STAGES = "A", "B", "B checkpointed", "sampling", "edit"
STEPS = 4  # that are timed; as many go before them, in which the kernels are chosen
GUIDANCE, ETA, SAMPLING_STEPS = 4.0, 1.2, 20


def measure(name: str, pixels: int, dtype: str, stage: str, device: str = "cuda") -> dict[str, float]:
    """Seconds, and MiB at most, the network's weights included. To be asked in a process of its own."""
    pipeline = models.pipeline(name, device, getattr(torch, dtype))
    latent, target, empty = models.example(name, pixels, device)
    denoiser = DiffusersDenoiser(pipeline, latent.shape[-2:])

    def sample(optimized: Conditioning, region: Tensor, steps: int) -> float:
        texts = optimized, interpolate(optimized, target, ETA), empty
        options = {"num_inference_steps": steps, "guidance_scale": GUIDANCE}
        return float(sample_edit(denoiser, latent, *texts, region, **options, generator=torch.Generator()).std())

    def step(steps: int) -> float:
        if stage == "A":
            return optimize_embedding(denoiser, latent, target, steps=steps)[1].validation_after
        if stage == "sampling":
            return sample(target, torch.ones(1, 1, *latent.shape[2:], device=device), steps)
        checkpointing = stage == "B checkpointed"
        return fine_tune(denoiser, latent, target, steps=steps, gradient_checkpointing=checkpointing)[
            1
        ].validation_after

    def edit(steps: int) -> float:
        """All three stages and the search for the region, with their defaults."""
        optimized, _ = optimize_embedding(denoiser, latent, target)
        update, _ = fine_tune(denoiser, latent, optimized)
        with LoRA.restored(denoiser.network, update, torch.device(device)).attached():
            return sample(optimized, edit_region(denoiser, latent, optimized, target), steps)

    def seconds(run: Callable[[int], float], steps: int) -> float:
        synchronize(device)
        start = time.perf_counter()
        number = run(steps)
        synchronize(device)
        if not math.isfinite(number):
            raise ArithmeticError(f"{name} in {dtype}: {stage} ended with {number}")
        return time.perf_counter() - start

    seconds(step if stage != "edit" else edit, STEPS)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if stage == "edit":
        found = {"seconds": round(seconds(edit, SAMPLING_STEPS), 2)}
    else:
        # The difference leaves out what a run does once: validation before and after.
        found = {"seconds_a_step": round((seconds(step, 3 * STEPS) - seconds(step, STEPS)) / (2 * STEPS), 4)}
    return found | {"peak_mib": torch.cuda.max_memory_allocated() >> 20 if device == "cuda" else 0}


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    print("\n" + json.dumps(measure(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])))
