"""Trains the judge of samples and edits."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.classifier import Classifier
from demo.scenes import VALUES, Scene
from demo.training.data import labels, to_tensor
from demo.training.loop import device_of, fit

_BATCH = 48
_UNJUDGED = -100  # cross entropy's mark for "no label"


def train(
    scenes: list[Scene],
    pictures: np.ndarray,
    decoded: np.ndarray,
    *,
    steps: int,
    seed: int,
    folder: Path,
    device: torch.device | str = "cpu",
) -> Classifier:
    """Train on pictures (N, 128, 128, 3) and on `decoded`, what the autoencoder makes of the first of them.

    With those, with blur and with noise, since the pictures it will judge come out of that autoencoder and not out
    of the renderer.
    """
    torch.manual_seed(seed)
    truth = labels(scenes)
    truth["colour"][truth["style"] == VALUES["style"].index("sketch")] = _UNJUDGED

    def loss(network: nn.Module, generator: torch.Generator, progress: float) -> Tensor:
        which = torch.randint(len(pictures), (_BATCH // 2,), generator=generator)
        again = torch.randint(len(decoded), (_BATCH // 2,), generator=generator)
        images = to_tensor(np.concatenate([pictures[which.numpy()], decoded[again.numpy()]]))
        noise = torch.randn(images.shape, generator=generator)
        images = images + 0.1 * torch.rand((_BATCH, 1, 1, 1), generator=generator) * noise
        if torch.rand((), generator=generator) < 0.3:
            images = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
        images = images.contiguous(memory_format=torch.channels_last).to(device_of(network))
        with torch.autocast(images.device.type, torch.bfloat16):
            logits = network(images)
        index = torch.cat([which, again])
        wanted = {name: truth[name][index].to(images.device) for name in VALUES}
        return torch.stack([F.cross_entropy(logits[name].float(), wanted[name]) for name in VALUES]).sum()

    network = Classifier().to(device, memory_format=torch.channels_last)
    return fit(
        "classifier",
        network,
        loss,
        steps=steps,
        rate=2e-3,
        averaging=0.99,
        seed=seed,
        folder=folder,
        weight_decay=0.02,
    )
