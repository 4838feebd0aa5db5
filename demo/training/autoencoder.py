"""The autoencoder, which sets how sharp anything the model shows can be."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor, nn

from demo.scenes import SIZE
from demo.training.data import to_tensor
from demo.training.loop import device_of, fit

# Decoding must not depend on digits a diffusion model cannot hit. Latents have unit variance.
_LATENT_NOISE = 0.04

# A step sees as many pixels in crops of 64 as in whole pictures.
_CROPS, _PICTURES = 8, 2


def _reconstruction_loss(output: Tensor, image: Tensor, squares: float) -> Tensor:
    """L1 and `squares` times MSE, plus the L1 of both gradients, which keeps contours where those two would blur."""
    error = output - image
    slopes = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + squares * error.square().mean() + 0.5 * slopes


def _normal_loss(latents: Tensor) -> Tensor:
    """How far each channel is from zero mean and unit deviation over the batch: the diffusion model's prior.

    Learnt rather than scaled afterwards, since the decoder begins by squashing its input to [-3, 3].
    """
    deviation, mean = torch.std_mean(latents, dim=(0, 2, 3))
    return (mean.square() + deviation.log().square()).mean()


def new(seed: int) -> AutoencoderTiny:
    torch.manual_seed(seed)
    return AutoencoderTiny()


def widened(model: AutoencoderTiny, channels: int, seed: int) -> AutoencoderTiny:
    """A copy of `model` with another number of latent channels: the two layers at the latents start anew."""
    torch.manual_seed(seed)
    wide = AutoencoderTiny(latent_channels=channels)
    shapes = {name: tensor.shape for name, tensor in wide.state_dict().items()}
    kept = {name: tensor for name, tensor in model.state_dict().items() if tensor.shape == shapes[name]}
    wide.load_state_dict(kept, strict=False)
    return wide


def train(
    model: AutoencoderTiny,
    pictures: np.ndarray,
    *,
    steps: int,
    seed: int,
    folder: Path,
    rate: float = 2e-3,
    cropped: float = 0.75,
    squares: float = 2,
    noise: float = _LATENT_NOISE,
    normal: float = 0.05,
) -> AutoencoderTiny:
    """Train on crops of 64 pixels for the share `cropped` of the way, then on whole pictures, a quarter as many a step.

    `squares` is the weight of MSE beside L1, `noise` the deviation of what the decoder must see through, `normal`
    the weight of the latents' mean and deviation.
    """
    model = model.to(memory_format=torch.channels_last)
    device = device_of(model)

    def loss(model: nn.Module, generator: torch.Generator, progress: float) -> Tensor:
        side, batch = (SIZE // 2, _CROPS) if progress < cropped else (SIZE, _PICTURES)
        which = torch.randint(len(pictures), (batch,), generator=generator).tolist()
        corners = torch.randint(SIZE - side + 1, (batch, 2), generator=generator).tolist()
        crops = [pictures[i, y : y + side, x : x + side] for i, (y, x) in zip(which, corners, strict=True)]
        image = to_tensor(np.stack(crops)).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            latents = model.encode(image).latents.float()
            chance = torch.randn(latents.shape, generator=generator).to(device)
            output = model.decode(latents + noise * chance).sample.float()
        return _reconstruction_loss(output, image, squares) + normal * _normal_loss(latents)

    return fit("autoencoder", model, loss, steps=steps, rate=rate, averaging=0.995, seed=seed, folder=folder)


def polish_decoder(
    model: AutoencoderTiny,
    pictures: np.ndarray,
    latents: Tensor,
    *,
    steps: int,
    seed: int,
    folder: Path,
    noise: float = _LATENT_NOISE,
) -> AutoencoderTiny:
    """Train the decoder alone on latents (N, C, 16, 16) that no longer move, which costs half of training both.

    By now MSE is a tenth of the loss. It gets the weight of L1 here: what is left to mend are few large errors,
    colours above all, rather than many small ones.
    """
    model.encoder.requires_grad_(False)
    device = device_of(model)

    def loss(model: nn.Module, generator: torch.Generator, progress: float) -> Tensor:
        which = torch.randint(len(latents), (_PICTURES,), generator=generator)
        image = to_tensor(pictures[which.numpy()]).to(device)
        chance = torch.randn((_PICTURES, *latents.shape[1:]), generator=generator)
        z = (latents[which] + noise * chance).contiguous(memory_format=torch.channels_last).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            output = model.decode(z).sample.float()
        return _reconstruction_loss(output, image, squares=10)

    return fit("decoder", model, loss, steps=steps, rate=5e-4, averaging=0.995, seed=seed, folder=folder)


@torch.no_grad()
def encode(model: AutoencoderTiny, pictures: np.ndarray) -> Tensor:
    """Latents (N, C, 16, 16), float32, on the CPU."""
    device = device_of(model)
    batches = (to_tensor(pictures[i : i + 32]).to(device) for i in range(0, len(pictures), 32))
    parts = [model.encode(batch).latents.cpu() for batch in batches]
    return torch.cat(parts).contiguous()


@torch.no_grad()
def decode(model: AutoencoderTiny, latents: Tensor) -> Tensor:
    """Images (N, 3, SIZE, SIZE) in [-1, 1], on the CPU."""
    device = device_of(model)
    batches = latents.contiguous(memory_format=torch.channels_last).split(32)
    parts = [model.decode(batch.to(device)).sample.cpu() for batch in batches]
    return torch.cat(parts).clamp(-1, 1)
