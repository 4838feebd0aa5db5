"""Precisions against fp32: python -m tests.gpu.numerics PRECISION. On the demo model, whose weights have a sense."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from imagic.diffusers import DiffusersDenoiser, load_pipeline, tune
from imagic.levels import standard_levels

# fp8 is kept, and computed with in bf16.
PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float8": torch.bfloat16}
PHOTO = Path(__file__).parents[2] / "demo" / "photo.png"
TARGET = "a brown dog wearing a hat"


def measure(precision: str, device: str = "cuda") -> dict[str, float]:
    """How far a prediction and a whole edit are from fp32's.

    Returns:
        prediction: RMS error of the clean latent over its deviation, the worst of eight levels.
        psnr: of the edit against that of fp32, dB.
        losses: of stage B at its end, over that of fp32.
    """
    torch.backends.cudnn.allow_tf32 = False  # or fp32 would not be exact
    exact, coarse = (load_pipeline("demo", device=device, dtype="float32") for _ in range(2))
    coarse.to(PRECISIONS[precision])
    if precision == "float8":
        coarse.unet.enable_layerwise_casting(torch.float8_e4m3fn, torch.bfloat16)
    photo = Image.open(PHOTO).convert("RGB")
    errors = _prediction_errors(exact, coarse)
    for pipeline in (exact, coarse):
        pipeline.set_progress_bar_config(disable=True)
    edits = [tune(pipeline, photo, TARGET) for pipeline in (exact, coarse)]
    pictures = [np.asarray(edit.sample(), dtype=float) for edit in edits]
    error = max(float(np.square(pictures[0] - pictures[1]).mean()), 1e-4)
    losses = [edit.histories[1].validation_after for edit in edits]
    found = {"prediction": float(errors.max()), "psnr": 10 * np.log10(255**2 / error), "losses": losses[1] / losses[0]}
    return {name: round(float(value), 5) for name, value in found.items()}


@torch.no_grad()
def _prediction_errors(*pipelines) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    latent, noise = (torch.randn(8, 4, 16, 16, generator=generator) for _ in range(2))
    clean = []
    for pipeline in pipelines:
        denoiser = DiffusersDenoiser(pipeline)
        sigma = standard_levels(denoiser, (torch.arange(8) + 0.5) / 8).to(denoiser.device)
        text, _ = denoiser.family.texts(TARGET)
        noisy = denoiser.add_noise(latent.to(denoiser.device), noise.to(denoiser.device), sigma)
        clean.append(denoiser(noisy, sigma, text).float())
    exact, coarse = clean
    return (coarse - exact).flatten(1).square().mean(1).sqrt() / exact.flatten(1).std(1)


if __name__ == "__main__":
    print("\n" + json.dumps(measure(sys.argv[1])))
