"""The flow model with random weights, in the trained one's shape: what its tests need where nothing was trained."""

from pathlib import Path

import torch

from demo import load
from demo.training import autoencoder, data
from demo.training.evaluate import held_out
from demo.training.export import latent_rgb
from demo.training.flow import export, transformer


def network() -> torch.nn.ModuleDict:
    """{"transformer", "text"}, small random numbers in place of the zeros that layers start from in training."""
    made = transformer.new(seed=0)
    for parameter in made.parameters():
        if not parameter.any() and parameter.requires_grad:
            torch.nn.init.normal_(parameter.data, std=0.05)
    return made.eval()


def write(folder: Path) -> Path:
    """Export it as training does; gives the model's folder."""
    vae = autoencoder.widened(load.vae(), transformer.CHANNELS, seed=0)
    pictures = data.pictures(held_out(4))
    preview = latent_rgb(autoencoder.encode(vae, pictures), pictures)
    export.write(network(), vae, preview, folder / "staging", folder / "flow_model")
    return folder / "flow_model"
