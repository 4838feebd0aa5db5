"""One measurement a function, each run in a process of its own: python -m tests.benchmarks.measurements NAME MODEL.

Each prints one JSON object on its last line. Times are of `imagic` and the rivals as they ship, see `stopwatch`.
"""

import json
import os
import sys
from types import SimpleNamespace

import torch
from PIL import Image
from torch import nn

from imagic import fine_tune, optimize_embedding
from tests.editbench.methods import peer as peer_pipeline

from . import host, models
from .memory import forget_peak, peak
from .stopwatch import Stopwatch

RUNS = 7  # steps that are timed; one more goes before them
RANK = 8
LOOP_SAMPLES = 4


def _plain(denoiser, latent, conditioning, count: int = 1):
    """A forward on `count` latents, as the steps it is compared with have them."""
    noisy, sigma = latent.expand(count, -1, -1, -1), torch.ones(count)
    return lambda: denoiser(noisy, sigma, conditioning)


def stage_a(name: str, samples: int = 1) -> dict:
    denoiser, (latent, text) = models.denoiser(name), models.example(name)
    with Stopwatch(_plain(denoiser, latent, text, samples)) as watch:
        forget_peak()
        optimize_embedding(denoiser, latent, text, steps=RUNS + 1, samples=samples)
    return {"ratios": watch.ratios(), "seconds": watch.steps, "peak": peak()}


def lora(name: str, samples: int = 1, checkpointing: bool = False) -> dict:
    denoiser, (latent, text) = models.denoiser(name), models.example(name)
    options = {"tune": "LoRA", "rank": RANK, "samples": samples, "gradient_checkpointing": checkpointing}
    with Stopwatch(_plain(denoiser, latent, text, samples)) as watch:
        forget_peak()
        fine_tune(denoiser, latent, text, steps=RUNS + 1, **options)
    return {"ratios": watch.ratios(), "seconds": watch.steps, "peak": peak()}


def lora_checkpointed(name: str) -> dict:
    return lora(name, checkpointing=True)


def sampling_memory(name: str) -> dict:
    """A sampler's steps: two latents at a time, with and without the text."""
    denoiser, (latent, text) = models.denoiser(name), models.example(name, models.MEMORY_SIZES[name])
    forward = _plain(denoiser, latent, text, 2)
    forget_peak()
    with torch.no_grad():
        for _ in range(2):
            forward()
    return {"peak": peak()}


def tuning_memory(name: str) -> dict:
    """Stage B with checkpointing on as many latents at a time as sampling has."""
    denoiser, (latent, text) = models.denoiser(name), models.example(name, models.MEMORY_SIZES[name])
    forget_peak()
    fine_tune(denoiser, latent, text, rank=RANK, steps=2, samples=2, gradient_checkpointing=True)
    return {"peak": peak()}


def loop(name: str) -> dict:
    """The share of a step outside forward, backward and optimizer, of the node on a real host."""
    with host.studio(name) as studio, Stopwatch(network=studio.network) as watch:
        studio.fine_tune(steps=RUNS + 1, rank=RANK, samples=LOOP_SAMPLES)
    return {"ratios": [1 - inside / step for inside, step in zip(watch.inside, watch.steps, strict=True)]}


def host_lora(name: str) -> dict:
    """The node on a real host, one sample a step, without checkpointing."""
    with host.studio(name) as studio, Stopwatch(studio.forward) as watch:
        forget_peak()
        studio.fine_tune(steps=RUNS + 1, rank=RANK, samples=1)
    return {"ratios": watch.ratios(), "seconds": watch.steps, "peak": peak()}


def train_lora(name: str) -> dict:
    """ComfyUI's Train LoRA on the same host, MODEL, rank, batch and dtype, without checkpointing."""
    with host.studio(name) as studio, Stopwatch(studio.forward) as watch:
        forget_peak()
        studio.train_lora(steps=RUNS + 1, rank=RANK)
    return {"ratios": watch.ratios(), "seconds": watch.steps, "peak": peak()}


def peer_a(name: str) -> dict:
    return _peer(name, text_embedding_optimization_steps=RUNS + 1, model_fine_tuning_optimization_steps=0)


def peer_b(name: str) -> dict:
    return _peer(name, text_embedding_optimization_steps=0, model_fine_tuning_optimization_steps=RUNS + 1)


def _peer(name: str, **steps: int) -> dict:
    """The diffusers community pipeline at the path that PEER names."""
    network, (latent, text) = models.unet(name), models.example(name)
    pixels = 8 * latent.shape[-1]
    pipeline = peer_pipeline.module(os.environ["PEER"]).ImagicStableDiffusionPipeline(
        vae=_Autoencoder(latent),
        text_encoder=_TextEncoder(text["cross_attn"]),
        tokenizer=_tokenizer,
        unet=network,
        scheduler=models.scheduler(),
        safety_checker=None,
        feature_extractor=None,
    )
    timestep = torch.tensor(500)
    with Stopwatch(lambda: network(latent, timestep, text["cross_attn"])) as watch:
        forget_peak()
        pipeline.train("a dog", Image.new("RGB", (pixels, pixels)), height=pixels, width=pixels, **steps)
    return {"ratios": watch.ratios(), "seconds": watch.steps, "peak": peak()}


class _Autoencoder(nn.Module):
    """Gives the one latent: encoding is no part of a step."""

    def __init__(self, latent):
        super().__init__()
        self.latent, self.device = latent, latent.device

    def encode(self, images) -> SimpleNamespace:
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda generator: self.latent))


class _TextEncoder(nn.Module):
    """Gives the one text, for the same reason."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens, self.device = tokens, tokens.device

    def forward(self, ids):
        return (self.tokens,)


def _tokenizer(*_, **__) -> SimpleNamespace:
    return SimpleNamespace(input_ids=torch.zeros(1, 77, dtype=torch.long))


_tokenizer.model_max_length = 77

NAMES = {
    function.__name__: function
    for function in (
        *(stage_a, lora, lora_checkpointed, sampling_memory, tuning_memory),
        *(loop, host_lora, train_lora, peer_a, peer_b),
    )
}

if __name__ == "__main__":
    print("\n" + json.dumps(NAMES[sys.argv[1]](sys.argv[2])))
