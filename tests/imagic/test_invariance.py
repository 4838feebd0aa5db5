"""What a text encoder's scale, or a network's width and rank, must not change."""

from statistics import mean

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from demo.load import pipeline
from imagic import fine_tune
from imagic.diffusers import DiffusersDenoiser, pictures, tune
from scripts import workflow
from tests.imagic.gaussian import merged

TARGET = "a brown dog sitting in the snow wearing a hat"


def rescaled(scale: float):
    """The demo's pipeline with its text scaled and what its network makes of text scaled by the inverse: the same
    model."""
    pipe = pipeline()
    with torch.no_grad():
        for name, weight in pipe.text_encoder.named_parameters():
            if "final_layer_norm" in name:
                weight *= scale
        for name, layer in pipe.unet.named_modules():
            if name.endswith(("attn2.to_k", "attn2.to_v")):
                layer.weight /= scale
    return pipe


def edited(scale: float) -> tuple[list, np.ndarray]:
    """The histories of both stages and the edit, all by default but for the sampler's steps."""
    edit = tune(rescaled(scale), Image.open(workflow.PHOTO), TARGET)
    return edit.histories, np.asarray(edit.sample(num_inference_steps=8)).astype(float)


@pytest.fixture(scope="module")
def expected():
    return edited(1.0)


@pytest.mark.parametrize("scale", [0.1, 0.2, 5, 30, 300])
def test_the_scale_of_the_text_changes_nothing(expected, scale):
    histories, picture = edited(scale)
    for history, before in zip(histories, expected[0], strict=True):
        assert history.losses == pytest.approx(before.losses, rel=1e-2)
        assert history.validation_after == pytest.approx(before.validation_after, rel=1e-2)
        assert before.validation_after < 0.99 * before.validation_before
    assert np.square(picture - expected[1]).mean() < 255**2 / 10**4  # 40 dB


@pytest.mark.parametrize("mode", ["attention", "all weights"])
@pytest.mark.parametrize("scale", [0.1, 300])
def test_the_scale_of_the_text_changes_nothing_for_full_weights(scale, mode):
    def history(scale):
        pipe = rescaled(scale)
        latent = pictures.encode(pipe, Image.open(workflow.PHOTO), 1)
        denoiser = DiffusersDenoiser(pipe)
        text, _ = denoiser.family.texts(TARGET)
        return fine_tune(denoiser, latent, text, tune=mode, steps=4)[1]

    scaled, expected = history(scale), history(1.0)
    assert scaled.losses == pytest.approx(expected.losses, rel=1e-2)
    assert scaled.validation_after == pytest.approx(expected.validation_after, rel=1e-2)
    assert expected.validation_after < 0.99 * expected.validation_before


class Block(nn.Module):
    """A transformer's: attention of the picture to itself, attention to the text, a feed-forward layer."""

    def __init__(self, width: int, context: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attn1 = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.attn2 = nn.ModuleList(nn.Linear(size, width) for size in (width, context, context, width))
        self.ff = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        first, second, third = self.norms
        x = x + attention(self.attn1, first(x), first(x))
        x = x + attention(self.attn2, second(x), text)
        return x + self.ff(third(x))


def attention(layers: nn.ModuleList, x: Tensor, source: Tensor) -> Tensor:
    query, key, value, out = layers
    heads = [part.unflatten(-1, (-1, 32)).transpose(1, 2) for part in (query(x), key(source), value(source))]
    return out(functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """[N, 4, 4, 4] and a text [1, 16, 64] -> [N, 4, 4, 4].

    Random, but for one thing that training makes: what the last layer reads adds up, so its weights go with 1 / width
    (arXiv 2203.03466). With random ones of 1 / sqrt(width) most of it cancels, and any change that is led by a gradient
    looks larger the wider the network is.
    """

    def __init__(self, width: int):
        super().__init__()
        self.first, self.last = nn.Linear(4, width), nn.Linear(width, 4)
        self.blocks = nn.ModuleList(Block(width, 64) for _ in range(2))
        generator = torch.Generator().manual_seed(0)
        for name, weight in self.requires_grad_(False).named_parameters():
            if weight.ndim == 2:
                weight.normal_(std=weight.shape[1] ** (-1 if name == "last.weight" else -0.5), generator=generator)
            elif name.endswith("bias"):
                weight.zero_()

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        x = self.first(x.flatten(2).transpose(1, 2))
        for block in self.blocks:
            x = block(x, text.expand(len(x), -1, -1))
        return self.last(functional.layer_norm(x, x.shape[-1:])).transpose(1, 2).unflatten(2, (4, 4))


class Flow:
    """A rectified flow with such a network."""

    overwrites, dtype, flow = False, torch.float32, True

    def __init__(self, network: nn.Module):
        self.network = network

    def sigma(self, quantile: Tensor) -> Tensor:
        return quantile

    def add_noise(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return torch.lerp(latent, noise, sigma.view(-1, 1, 1, 1))

    def loss_weight(self, sigma: Tensor) -> Tensor:
        return sigma**-2

    def __call__(self, noisy: Tensor, sigma: Tensor, conditioning: dict) -> Tensor:
        return noisy - sigma.view(-1, 1, 1, 1) * self.network(noisy, conditioning["cross_attn"])


def change_of_output(width: int, **options) -> float:
    """How far a few steps at stage B's default rate move what a network puts out, as a share of what it should be.

    A few, since later on the photo is learned, and changes are alike whatever the rate.
    """
    network = Transformer(width)
    generator = torch.Generator().manual_seed(1)
    latent, text = torch.randn(1, 4, 4, 4, generator=generator), torch.randn(1, 16, 64, generator=generator)
    noise = torch.randn(8, 4, 4, 4, generator=generator)
    options = {"steps": 4, "schedule": "constant"} | options
    update, _ = fine_tune(Flow(network), latent, {"cross_attn": text}, **options)
    with torch.no_grad():
        noisy = torch.lerp(latent, noise, torch.linspace(0.1, 0.9, 8).view(-1, 1, 1, 1))
        before = network(noisy, text)
        network.load_state_dict(merged(network.state_dict(), update))
        return float((network(noisy, text) - before).norm() / (noise - latent).norm())


def test_the_default_tunes_networks_of_every_width_by_the_same_share():
    # A narrow random network is a matter of chance, so of several starts.
    starts = {64: 3, 256: 3, 3072: 1}
    shares = {width: mean(change_of_output(width, seed=seed) for seed in range(n)) for width, n in starts.items()}
    assert max(shares.values()) < 2 * min(shares.values()), shares


@pytest.mark.parametrize("mode", ["attention", "all weights"])
def test_full_weights_of_every_width_are_tuned_by_the_same_share(mode):
    shares = {width: change_of_output(width, tune=mode) for width in (64, 256, 1024)}
    assert max(shares.values()) < 2 * min(shares.values()), shares


def test_the_default_tunes_by_the_same_share_at_every_rank():
    shares = {rank: change_of_output(256, rank=rank) for rank in (4, 16, 64)}
    assert max(shares.values()) < 2 * min(shares.values()), shares
