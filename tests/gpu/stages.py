"""Seconds and the peak of memory of each stage: python -m tests.gpu.stages NAME PIXELS DTYPE.

Of all but a whole edit the seconds are those of a step. A process of its own for each size: its memory is its own.
"""

import gc
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


class Model:
    """A network of a real size with random weights, a latent and texts."""

    def __init__(self, name: str, pixels: int, dtype: str, device: str = "cuda"):
        self.name, self.device = f"{name} in {dtype}", torch.device(device)
        pipeline = models.pipeline(name, device, getattr(torch, dtype))
        self.latent, self.target, self.empty = models.example(name, pixels, device)
        self.denoiser = DiffusersDenoiser(pipeline, self.latent.shape[-2:])

    def measure(self, stage: str) -> dict[str, float]:
        """Seconds, MiB at most with the network's weights, and of an edit whether a second one is the same to the bit.

        Where memory runs out: {"reason": ...}.
        """
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            found = self._edits() if stage == "edit" else self._steps(stage)
        except torch.OutOfMemoryError:
            return {"reason": "it does not fit"}
        return found | {"peak_mib": torch.cuda.max_memory_allocated() >> 20 if self.device.type == "cuda" else 0}

    def _steps(self, stage: str) -> dict[str, float]:
        def run(steps: int) -> float:
            if stage == "A":
                return optimize_embedding(self.denoiser, self.latent, self.target, steps=steps)[1].validation_after
            if stage == "sampling":
                everywhere = torch.ones(1, 1, *self.latent.shape[2:], device=self.device)
                return float(self._sample(self.target, everywhere, steps).std())
            options = {"steps": steps, "gradient_checkpointing": stage == "B checkpointed"}
            return fine_tune(self.denoiser, self.latent, self.target, **options)[1].validation_after

        self._timed(run, STEPS)
        # The difference leaves out what a run does once: validation before and after.
        long, short = (self._timed(run, steps)[0] for steps in (3 * STEPS, STEPS))
        return {"seconds_a_step": round((long - short) / (2 * STEPS), 4)}

    def _edits(self) -> dict[str, float]:
        (_, first), (seconds, second) = (self._timed(self._edit, SAMPLING_STEPS) for _ in range(2))
        return {"seconds": round(seconds, 2), "same": torch.equal(first, second)}

    def _edit(self, steps: int) -> Tensor:
        """All three stages and the search for the region, with their defaults."""
        optimized, _ = optimize_embedding(self.denoiser, self.latent, self.target)
        update, _ = fine_tune(self.denoiser, self.latent, optimized)
        with LoRA.restored(self.denoiser.network, update, self.device).attached():
            return self._sample(optimized, edit_region(self.denoiser, self.latent, optimized, self.target), steps)

    def _sample(self, optimized: Conditioning, region: Tensor, steps: int) -> Tensor:
        texts = optimized, interpolate(optimized, self.target, ETA), self.empty
        options = {"num_inference_steps": steps, "guidance_scale": GUIDANCE, "generator": torch.Generator()}
        return sample_edit(self.denoiser, self.latent, *texts, region, **options)

    def _timed(self, run: Callable[[int], float | Tensor], steps: int) -> tuple[float, float | Tensor]:
        self._synchronize()
        start = time.perf_counter()
        result = run(steps)
        self._synchronize()
        if not math.isfinite(float(torch.as_tensor(result).sum())):
            raise ArithmeticError(f"{self.name} gave {result}")
        return time.perf_counter() - start, result

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


if __name__ == "__main__":
    model, found = Model(sys.argv[1], int(sys.argv[2]), sys.argv[3]), {}
    for stage in STAGES:
        found[stage] = model.measure(stage)
        print(json.dumps(found), flush=True)  # so far: the last line counts
