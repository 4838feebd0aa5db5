"""Makes the flow model from a seed. Stages continue from their checkpoints in build/flow-model.

Its autoencoder starts from the bundled one. With --export nothing is trained: the networks are written as they are at
their last checkpoints.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from demo import classifier, load, words
from demo.scenes import VALUES
from demo.training import autoencoder, data, evaluate
from demo.training.export import latent_rgb
from demo.training.flow import export, transformer
from demo.training.loop import average_so_far, device_of, spent

SEED = 1
SCENES = 40_000
AUTOENCODER_STEPS, DECODER_STEPS = 4000, 3000
# Of the transformer. Three of four samples are right after 4,200 steps at nearly the full rate.
TRANSFORMER = {"steps": 10_000, "horizon": 20_000, "cooldown": 4_000}

# More than the bundled autoencoder's, since 16 channels have room for it. What the transformer misses by, its decoder
# then sees through.
LATENT_NOISE = 0.15

_ROOT = Path(__file__).resolve().parents[3]
_CARD = Path(__file__).with_name("card.md")
_ENCODED_AT_ONCE = 4000


def untrained_autoencoder() -> AutoencoderTiny:
    return autoencoder.widened(load.vae(), transformer.CHANNELS, SEED + 11)


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


def train(folder: Path, device: str) -> tuple[AutoencoderTiny, torch.nn.ModuleDict]:
    """Autoencoder, and networks {"transformer", "text"}."""
    scenes = data.scenes(SEED, SCENES)
    print(f"rendering {SCENES} scenes", flush=True)
    pictures = data.cached_pictures(scenes, folder / "pictures.npy")
    vae = autoencoder.train(
        untrained_autoencoder().to(device),
        pictures,
        steps=AUTOENCODER_STEPS,
        seed=SEED + 11,
        folder=folder,
        rate=1e-3,
        squares=10,
        noise=LATENT_NOISE,
        normal=0.3,
    )
    print("encoding", flush=True)
    latents = encoded(vae, pictures, folder)
    networks = transformer.new(SEED + 12).to(device)
    networks = transformer.train(networks, scenes, latents, seed=SEED + 12, folder=folder, **TRANSFORMER)
    # Last, since it moves no latent, and samples are worth seeing before.
    vae = autoencoder.polish_decoder(
        vae, pictures, latents, steps=DECODER_STEPS, seed=SEED + 13, folder=folder, noise=LATENT_NOISE
    )
    return vae, networks


def so_far(folder: Path) -> tuple[AutoencoderTiny, torch.nn.ModuleDict]:
    """Autoencoder and networks at their last checkpoints."""
    stage = "decoder" if (folder / "decoder.pt").exists() else "autoencoder"
    vae = average_so_far(stage, untrained_autoencoder(), folder)
    return vae, average_so_far("flow", transformer.new(SEED + 12), folder)


def card(figures: dict, folder: Path) -> str:
    """The model card, from the template and what was measured."""
    pipeline = load.flow_pipeline()

    def row(shares: dict[str, float]) -> str:
        return " | ".join(f"{100 * shares[name]:.1f} %" for name in (*VALUES, "all"))

    def millions(network: torch.nn.Module) -> float:
        return sum(p.numel() for p in network.parameters()) / 1e6

    stages = {stage: spent(stage, folder) for stage in ("autoencoder", "flow", "decoder")}
    weights = [path for path in load.FLOW_MODEL.rglob("*") if path.suffix in (".safetensors", ".json")]
    return _CARD.read_text().format(
        megabytes=sum(path.stat().st_size for path in weights) / 1e6,
        transformer_parameters=millions(pipeline.transformer),
        vae_parameters=millions(pipeline.vae),
        text_parameters=millions(pipeline.text_encoder.encoder) + 1e-6 * transformer.WIDTH * len(words.TOKEN_IDS),
        seed=SEED,
        scenes=f"{SCENES:,}",
        noise=LATENT_NOISE,
        psnr_mean=figures["reconstruction_db"]["mean"],
        psnr_least=figures["reconstruction_db"]["least"],
        psnr_pictures=figures["reconstruction_db"]["pictures"],
        guidance=evaluate.GUIDANCE,
        sampling_steps=evaluate.SAMPLING_STEPS,
        samples_count=figures["samples_count"],
        samples=row(figures["samples"]),
        **{f"{stage}_{name}": value for stage, values in stages.items() for name, value in values.items()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.training.flow", description=__doc__)
    parser.add_argument("--folder", type=Path, default=_ROOT / "build" / "flow-model", help="checkpoints and caches")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--export", action="store_true", help="write the model as it is so far")
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    # Subnormal numbers, which appear as optimiser moments fade, slow a CPU many times over.
    torch.set_flush_denormal(True)

    vae, networks = so_far(folder) if options.export else train(folder, options.device)
    pictures = data.pictures(data.scenes(SEED, 1000))
    export.write(networks, vae, latent_rgb(autoencoder.encode(vae, pictures), pictures), folder / "staging")
    figures = evaluate.measure(load.flow_pipeline().to(options.device), classifier.load())
    print(json.dumps(figures, indent=2))
    (load.FLOW_MODEL / "README.md").write_text(card(figures, folder))


if __name__ == "__main__":
    main()
