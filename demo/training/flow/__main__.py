"""Makes the flow model from a seed. Stages continue from their checkpoints in build/flow-model.

Its autoencoder starts from the bundled one. With --export the transformer is written as it is at its last checkpoint,
and nothing is trained.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from demo import load
from demo.scenes import Scene
from demo.training import autoencoder, data
from demo.training.flow import transformer
from demo.training.loop import device_of

SEED = 1
SCENES = 40_000
AUTOENCODER_STEPS, DECODER_STEPS, TRANSFORMER_STEPS = 2000, 2000, 30_000

# More than the bundled autoencoder's, since 16 channels have room for it. What the transformer misses by, its decoder
# then sees through.
LATENT_NOISE = 0.15

_ROOT = Path(__file__).resolve().parents[3]
_ENCODED_AT_ONCE = 4000


def scenes_and_pictures(folder: Path) -> tuple[list[Scene], np.ndarray]:
    scenes = data.scenes(SEED, SCENES)
    print(f"rendering {SCENES} scenes", flush=True)
    return scenes, data.cached_pictures(scenes, folder / "pictures.npy")


def trained_autoencoder(pictures: np.ndarray, folder: Path, device: str) -> AutoencoderTiny:
    vae = autoencoder.widened(load.vae(), transformer.CHANNELS, SEED + 11).to(device)
    settings = {"steps": AUTOENCODER_STEPS, "rate": 5e-4, "squares": 10, "noise": LATENT_NOISE}
    return autoencoder.train(vae, pictures, seed=SEED + 11, folder=folder, **settings)


def encoded(vae: AutoencoderTiny, pictures: np.ndarray, folder: Path) -> Tensor:
    """Latents (N, C, 16, 16), kept in parts so that what was encoded before an interruption is not lost.

    In bfloat16, which is four times as fast and wrong by a twentieth of the noise that the decoder sees through.
    """

    def encode(start: int) -> Tensor:
        with torch.autocast(device_of(vae).type, torch.bfloat16):
            return autoencoder.encode(vae, pictures[start : start + _ENCODED_AT_ONCE]).float()

    def part(start: int) -> Tensor:
        return data.cached_tensor(folder / f"latents-{start}.safetensors", lambda: encode(start))

    return torch.cat([part(start) for start in range(0, len(pictures), _ENCODED_AT_ONCE)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.training.flow", description=__doc__)
    parser.add_argument("--folder", type=Path, default=_ROOT / "build" / "flow-model", help="checkpoints and caches")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    folder, device = options.folder, options.device
    folder.mkdir(parents=True, exist_ok=True)
    # Subnormal numbers, which appear as optimiser moments fade, slow a CPU many times over.
    torch.set_flush_denormal(True)

    scenes, pictures = scenes_and_pictures(folder)
    vae = trained_autoencoder(pictures, folder, device)
    print("encoding", flush=True)
    latents = encoded(vae, pictures, folder)
    transformer.train(
        transformer.new(SEED + 12).to(device),
        scenes,
        latents,
        steps=TRANSFORMER_STEPS,
        seed=SEED + 12,
        folder=folder,
    )
    # Last, since it moves no latent, and a sample of the transformer is worth seeing before.
    vae = autoencoder.polish_decoder(
        vae, pictures, latents, steps=DECODER_STEPS, seed=SEED + 13, folder=folder, noise=LATENT_NOISE
    )


if __name__ == "__main__":
    main()
