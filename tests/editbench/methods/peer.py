"""The diffusers community pipeline `imagic_stable_diffusion.py`, as it is, from the path that PEER names."""

import copy
import hashlib
import importlib.util
import os
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch import nn

from demo.scenes import SIZE

from ..outcome import Outcome
from ..studio import GUIDANCE, SEED, STEPS

ALPHAS = [0.0, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5]

_SCALE = 0.18215  # Stable Diffusion's, which the pipeline has in its code


def settings(path: str) -> dict:
    """Raises OSError if there is no such file."""
    return {"file": hashlib.sha256(Path(path).read_bytes()).hexdigest(), "alphas": ALPHAS, "training": "its defaults"}


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    # It trains the weights it is given in place, and draws its noise from the global generator.
    unet = copy.deepcopy(studio.pipeline.unet)
    studio.meter.watch(unet)
    # DDIM from pure noise to no noise, as all others sample here.
    ends = {"timestep_spacing": "trailing", "set_alpha_to_one": True}
    scheduler = DDIMScheduler.from_config(studio.pipeline.scheduler.config, **ends)
    pipeline = module(os.environ["PEER"]).ImagicStableDiffusionPipeline(
        vae=ScaledAutoencoder(studio.pipeline.vae),
        text_encoder=studio.pipeline.text_encoder,
        tokenizer=studio.pipeline.tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    torch.manual_seed(SEED)
    # Its progress bar cannot be switched off.
    with studio.measured(outcome.target), open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        pipeline.train(pair.edit.target_caption, Image.fromarray(pair.source), height=SIZE, width=SIZE)
    for alpha in ALPHAS:
        with studio.measured(outcome.sample(f"{alpha:g}")):
            images = pipeline(
                alpha=alpha,
                height=SIZE,
                width=SIZE,
                num_inference_steps=STEPS,
                guidance_scale=GUIDANCE,
                generator=torch.Generator().manual_seed(SEED),
                output_type="np",
            ).images
        outcome.pictures[f"{alpha:g}"] = (images[0] * 255).round().astype(np.uint8)
    return outcome


@cache
def module(path: str):
    """The user's file. It needs accelerate, which requirements-dev.txt brings."""
    spec = importlib.util.spec_from_file_location("imagic_stable_diffusion", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ScaledAutoencoder(nn.Module):
    """The demo model's autoencoder with the interface and scale of Stable Diffusion's, which the pipeline expects."""

    def __init__(self, vae: nn.Module):
        super().__init__()
        self.vae, self.device = vae, vae.device

    def encode(self, images: torch.Tensor) -> SimpleNamespace:
        latents = self.vae.encode(images).latents / _SCALE
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda generator: latents))

    def decode(self, latents: torch.Tensor) -> SimpleNamespace:
        return self.vae.decode(latents * _SCALE)
