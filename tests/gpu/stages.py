"""Seconds a step and the peak of memory of each stage: python -m tests.gpu.stages NAME PIXELS DTYPE STAGE."""

import json
import math
import sys
import time

import torch

from imagic import fine_tune, interpolate, optimize_embedding
from imagic.diffusers import DiffusersDenoiser
from imagic.diffusers.sampling import sample_edit

from . import models

STAGES = "A", "B", "B checkpointed", "sampling"
STEPS = 4  # that are timed; as many go before them, in which the kernels are chosen
GUIDANCE = 4.0


def measure(name: str, pixels: int, dtype: str, stage: str, device: str = "cuda") -> dict[str, float]:
    """Seconds a step, and MiB at most, the network's weights included. To be asked in a process of its own."""
    pipeline = models.pipeline(name, device, getattr(torch, dtype))
    latent, target, empty = models.example(name, pixels, device)
    denoiser = DiffusersDenoiser(pipeline, latent.shape[-2:])

    def run(steps: int) -> float:
        if stage == "A":
            return optimize_embedding(denoiser, latent, target, steps=steps)[1].validation_after
        if stage != "sampling":
            checkpointing = stage == "B checkpointed"
            history = fine_tune(denoiser, latent, target, steps=steps, gradient_checkpointing=checkpointing)[1]
            return history.validation_after
        texts = target, interpolate(target, empty or target, 1.2), empty
        region = torch.ones(1, 1, *latent.shape[2:], device=device)
        options = {"num_inference_steps": steps, "guidance_scale": GUIDANCE}
        return float(sample_edit(denoiser, latent, *texts, region, **options, generator=torch.Generator()).std())

    def seconds(steps: int) -> float:
        synchronize(device)
        start = time.perf_counter()
        number = run(steps)
        synchronize(device)
        if not math.isfinite(number):
            raise ArithmeticError(f"{name} in {dtype}: {stage} ended with {number}")
        return time.perf_counter() - start

    seconds(STEPS)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    # The difference leaves out what a run does once: validation before and after.
    step = (seconds(3 * STEPS) - seconds(STEPS)) / (2 * STEPS)
    peak = torch.cuda.max_memory_allocated() >> 20 if device == "cuda" else 0
    return {"seconds_a_step": round(step, 4), "peak_mib": peak}


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    print("\n" + json.dumps(measure(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])))
