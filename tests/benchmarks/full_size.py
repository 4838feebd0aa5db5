"""An edit at a real model's size: SD 1.5 and SDXL at 512 px with random weights; writes full_size.json and RESULTS.md.

    make benchmark ARGS="--full-size"      half an hour on two cores; SDXL in fp32 needs 16 GB

Two steps of each stage and two of sampling, each stage's seconds and peak of memory, as `imagic.diffusers` runs them
on a pipeline: text encoders and autoencoder are left out, whose work is the same with any method.
"""

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from diffusers import UNet2DConditionModel

from imagic import fine_tune, interpolate, optimize_embedding
from imagic.diffusers import DiffusersDenoiser
from imagic.diffusers.sampling import sample_edit
from scripts import hosts

from . import models
from .memory import forget_peak, peak

FILE = Path(__file__).parent / "full_size.json"
HEADING = "\n## At full size\n"
PIXELS, STEPS = 512, 2
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


def pipeline(name: str) -> SimpleNamespace:
    """As much of a diffusers pipeline as sampling and training ask for, its weights drawn at random."""
    config = models.unet_config(name) if name == "sd15" else SDXL
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**config).eval()
    return SimpleNamespace(unet=unet, scheduler=models.scheduler(), vae_scale_factor=8, _get_add_time_ids=_time_ids)


def _time_ids(original, crop, target, dtype, _) -> torch.Tensor:
    return torch.tensor([[*original, *crop, *target]], dtype=dtype)


def measure(name: str) -> dict[str, dict[str, float]]:
    """Seconds and the peak of memory, in bytes, of each stage."""
    denoiser = DiffusersDenoiser(pipeline(name))
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, 4, PIXELS // 8, PIXELS // 8, generator=generator)
    width = denoiser.network.config.cross_attention_dim
    target, empty = ({"cross_attn": torch.randn(1, 77, width, generator=generator)} for _ in range(2))
    if name == "sdxl":
        target["pooled_output"] = torch.randn(1, 1280, generator=generator)
        empty["pooled_output"] = torch.zeros(1, 1280)
    found = {}

    def timed(stage: str, run):
        forget_peak()
        start = time.perf_counter()
        result = run()
        found[stage] = {"seconds": round(time.perf_counter() - start, 1), "peak": peak()}
        print(f"{name} {stage}: {found[stage]}", file=sys.stderr, flush=True)
        return result

    optimized, first = timed("A", lambda: optimize_embedding(denoiser, latent, target, steps=STEPS))
    options = {"steps": STEPS, "gradient_checkpointing": True}
    _, second = timed("B", lambda: fine_tune(denoiser, latent, optimized, **options))
    # Found by 24 evaluations like those of a sample.
    region = torch.ones(1, 1, *latent.shape[2:])
    texts = optimized, interpolate(optimized, target, 1.2), empty
    settings = {"steps": STEPS, "guidance": 4.0, "seed": 0}
    edited = timed("sampling", lambda: sample_edit(denoiser, latent, *texts, region, **settings))
    losses = (first.validation_before, first.validation_after, second.validation_after)
    if not all(map(math.isfinite, losses)) or not edited.isfinite().all():
        raise ArithmeticError(f"{name} ended with numbers that are not finite: {losses}")
    return found


def run() -> None:
    """Measure every model in a process of its own."""
    found = {}
    for name in NAMES:
        print(f"{name} at {PIXELS} px ...", flush=True)
        command = [sys.executable, "-m", "tests.benchmarks.full_size", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=hosts.ROOT, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def markdown() -> str:
    """The table of the last run; empty where there was none."""
    if not FILE.exists():
        return ""
    lines = [
        f"{HEADING}\nRandom weights, fp32, {PIXELS} px, {STEPS} steps of each stage (two noisy latents a step, "
        f"validation before and after; B with checkpointing) and {STEPS} of sampling that keep the photo. "
        "Peak memory is the process's, the diffusion model's weights included, without text encoder and autoencoder.\n",
        "| model | A | B | sampling |",
        "|---|---|---|---|",
    ]
    for name, stages in json.loads(FILE.read_text(encoding="utf-8")).items():
        cells = (f"{stage['peak'] / 2**30:.1f} GiB, {stage['seconds']:.0f} s" for stage in stages.values())
        lines.append(f"| {NAMES[name]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print("\n" + json.dumps(measure(sys.argv[1])))
