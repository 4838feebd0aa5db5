"""An edit at a real model's size: SD 1.5 and SDXL with random weights; writes full_size.json and RESULTS.md.

    make benchmark ARGS="--full-size"                         an hour and more on two cores
    python -m tests.benchmarks.full_size sd15 512 sampling    one stage; prints it as JSON

Two steps of each stage and two of sampling, each in a process of its own, since what a stage leaves in the allocator
would count for the next: seconds and peak of memory, as `imagic.diffusers` runs them on a pipeline. Text encoders and
autoencoder are left out, whose work is the same with any method.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import torch
from diffusers import UNet2DConditionModel

from imagic import fine_tune, interpolate, optimize_embedding
from imagic.diffusers import DiffusersDenoiser
from imagic.diffusers.sampling import sample_edit
from scripts import hosts

from . import models
from .memory import ALLOCATOR, GIVES_BACK, forget_peak, peak

FILE = Path(__file__).parent / "full_size.json"
HEADING = "\n## At full size\n"
SIZES, STEPS = (512, 1024), 2
DTYPE = torch.bfloat16  # as such models are used; and CPUs that have instructions for it are several times as fast
STAGES = "A", "B", "sampling"
NAMES = {"sd15": "Stable Diffusion 1.5", "sdxl": "SDXL"}
SDXL = {  # stabilityai/stable-diffusion-xl-base-1.0, unet/config.json
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
# SDXL's kind, called in the same way, small enough for a test.
NARROW = SDXL | {"block_out_channels": (32, 32, 32), "transformer_layers_per_block": 1, "attention_head_dim": 8}
CONFIGS = {"sd15": models.unet_config("sd15"), "sdxl": SDXL, "narrow": NARROW}


def pipeline(name: str) -> SimpleNamespace:
    """As much of a diffusers pipeline as sampling and training ask for, its weights drawn at random."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**CONFIGS[name]).to(DTYPE).eval()
    return SimpleNamespace(unet=unet, scheduler=models.scheduler(), vae_scale_factor=8, _get_add_time_ids=_time_ids)


def _time_ids(original, crop, target, dtype, _) -> torch.Tensor:
    return torch.tensor([[*original, *crop, *target]], dtype=dtype)


def measure(name: str, pixels: int, stage: str) -> dict[str, float]:
    """Seconds and the peak of memory, in bytes, of a stage. To be asked in a process that has run nothing else."""
    denoiser = DiffusersDenoiser(pipeline(name))
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, 4, pixels // 8, pixels // 8, generator=generator)
    width = denoiser.network.config.cross_attention_dim
    target, empty = ({"cross_attn": torch.randn(1, 77, width, generator=generator)} for _ in range(2))
    if name != "sd15":
        target["pooled_output"] = torch.randn(1, 1280, generator=generator)
        empty["pooled_output"] = torch.zeros(1, 1280)

    def sample() -> list[float]:
        region = torch.ones(1, 1, *latent.shape[2:])  # found by 32 to 48 evaluations like those of a sample
        texts = target, interpolate(target, empty, 1.2), empty
        noise = torch.Generator().manual_seed(0)
        options = {"num_inference_steps": STEPS, "guidance_scale": 4.0, "generator": noise}
        edited = sample_edit(denoiser, latent, *texts, region, **options)
        return [float(edited.std())]

    def stage_a() -> list[float]:
        history = optimize_embedding(denoiser, latent, target, steps=STEPS)[1]
        return [history.validation_before, history.validation_after]

    def stage_b() -> list[float]:
        history = fine_tune(denoiser, latent, target, steps=STEPS, gradient_checkpointing=True)[1]
        return [history.validation_before, history.validation_after]

    run = dict(zip(STAGES, (stage_a, stage_b, sample), strict=True))[stage]
    forget_peak()
    start = time.perf_counter()
    numbers = run()
    if not all(map(math.isfinite, numbers)):
        raise ArithmeticError(f"{name} ended with numbers that are not finite: {numbers}")
    return {"seconds": round(time.perf_counter() - start, 1), "peak": peak()}


def run(names: Iterable[str] = NAMES, sizes: Iterable[int] = SIZES, stages: Iterable[str] = STAGES) -> None:
    """Measure every stage in a process of its own. What is known of other models and sizes stays."""
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    for name, pixels, stage in product(names, sizes, stages):
        print(f"{name} at {pixels} px, {stage} ...", flush=True)
        command = [sys.executable, "-m", "tests.benchmarks.full_size", name, str(pixels), stage]
        environment = os.environ | GIVES_BACK
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=hosts.ROOT, check=True, env=environment)
        found.setdefault(name, {}).setdefault(str(pixels), {})[stage] = json.loads(done.stdout.splitlines()[-1])
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def markdown() -> str:
    """The table of the last run; empty where there was none."""
    if not FILE.exists():
        return ""
    lines = [
        f"{HEADING}\nRandom weights, bf16, {STEPS} steps of each stage (two noisy latents a step, one at a time at "
        f"1024 px, validation before and after; B with checkpointing) and {STEPS} of sampling that keep the photo. "
        "Each in a process of its own. Peak memory is the process's, the diffusion model's weights included, without "
        f"text encoder and autoencoder. {ALLOCATOR}\n",
        "| model | pixels | A | B | sampling | B / sampling |",
        "|---|---|---|---|---|---|",
    ]
    for name, sizes in json.loads(FILE.read_text(encoding="utf-8")).items():
        for pixels, stages in sizes.items():
            cells = [
                f"{stages[stage]['peak'] / 2**30:.1f} GiB, {stages[stage]['seconds']:.0f} s" if stage in stages else "–"
                for stage in STAGES
            ]
            both = "B" in stages and "sampling" in stages
            cells.append(f"{stages['B']['peak'] / stages['sampling']['peak']:.2f}" if both else "–")
            lines.append(f"| {NAMES[name]} | {pixels} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print("\n" + json.dumps(measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
