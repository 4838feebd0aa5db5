"""What this pack adds to sampling, Keep Photo, as its example workflow has it."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from imagic import interpolate
from imagic.denoiser import Conditioning
from imagic.diffusers.sampling import sample_edit
from imagic.region import edit_region
from scripts import workflow
from scripts.templates.wires import SWEEP

from .outcome import Outcome
from .studio import GUIDANCE, SEED, STEPS, Studio

_INTERPOLATION = workflow.inputs(workflow.load(), "C: from the photo to the target")

ETA = _INTERPOLATION["eta"]
ETAS = sorted({0.0, ETA, *map(float, _INTERPOLATION["sweep"].split(","))})
# What Pick Edit chooses from, in the template that has it.
PICKED_FROM = [float(eta) for eta in SWEEP.split(",")]
THRESHOLD = workflow.inputs(workflow.load(), "Keep the photo")["threshold"]


def sweep(
    studio: Studio,
    outcome: Outcome,
    latent: Tensor,
    optimized: Conditioning,
    target: Conditioning,
    etas: Iterable[float] = ETAS,
) -> None:
    """A picture for each eta, from a tuned model, as the example workflow draws them."""
    with studio.measured(outcome.target):
        region = edit_region(studio.denoiser, latent, optimized, target, threshold=THRESHOLD)
    for eta in etas:
        with studio.measured(outcome.sample(f"{eta:g}")):
            picture = draw(studio, latent, optimized, interpolate(optimized, target, eta), region)
        outcome.pictures[f"{eta:g}"] = picture


def draw(
    studio: Studio, latent: Tensor, optimized: Conditioning, conditioning: Conditioning, region: Tensor
) -> np.ndarray:
    """What users of `imagic.diffusers` draw, with the example workflow's settings."""
    options = {
        "num_inference_steps": STEPS,
        "guidance_scale": GUIDANCE,
        "generator": torch.Generator().manual_seed(SEED),
    }
    edit = sample_edit(studio.denoiser, latent, optimized, conditioning, studio.empty, region, **options)
    return studio.decode(edit)
