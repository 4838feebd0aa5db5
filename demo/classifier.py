"""Reads the attributes of a scene off its pixels: how samples and edits are judged."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from demo.scenes import VALUES

PATH = Path(__file__).parent / "classifier.safetensors"


def _layer(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU())


class Classifier(nn.Module):
    """Images (N, 3, 128, 128) in [-1, 1] to a dict of logits (N, values), one per attribute."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            _layer(3, 32, 2),
            _layer(32, 48, 2),
            _layer(48, 96, 2),
            _layer(96, 128, 1),
            _layer(128, 128, 2),
            _layer(128, 128, 1),
            _layer(128, 128, 2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(128 * 4 * 4, 256),
            nn.SiLU(),
        )
        self.heads = nn.ModuleDict({name: nn.Linear(256, len(values)) for name, values in VALUES.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.features(images)
        return {name: head(features) for name, head in self.heads.items()}


def load() -> Classifier:
    model = Classifier()
    model.load_state_dict(load_file(PATH))
    return model.eval()


@torch.no_grad()
def predict(model: Classifier, images: np.ndarray) -> dict[str, Tensor]:
    """Probabilities (N, values) per attribute for uint8 images (N, 128, 128, 3)."""
    parts = [
        model(torch.from_numpy(np.ascontiguousarray(images[i : i + 64])).permute(0, 3, 1, 2) / 127.5 - 1)
        for i in range(0, len(images), 64)
    ]
    return {name: torch.cat([part[name] for part in parts]).softmax(-1) for name in VALUES}
