"""Makes the flow model from a seed. Stages continue from their checkpoints in build/flow-model.

Its autoencoder starts from the bundled one. With --export nothing is trained: the networks are written as they are at
their last checkpoints.
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderTiny

from demo import classifier, load
from demo.training import autoencoder, data, evaluate
from demo.training.command import begin, facts, millions
from demo.training.export import latent_rgb
from demo.training.flow import export, transformer
from demo.training.loop import average_so_far, spent

SEED = 1
SCENES = 40_000
AUTOENCODER_STEPS, DECODER_STEPS = 4000, 3000
# Of the transformer. Three of four samples are right after 4,200 steps at nearly the full rate.
TRANSFORMER = {"steps": 10_000, "horizon": 20_000, "cooldown": 4_000}

# More than the bundled autoencoder's, since 16 channels have room for it. What the transformer misses by, its decoder
# then sees through.
LATENT_NOISE = 0.15

_CARD = Path(__file__).with_name("card.md")


def untrained_autoencoder() -> AutoencoderTiny:
    return autoencoder.widened(load.vae(), transformer.CHANNELS, SEED + 11)


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
    latents = autoencoder.cached_latents(vae, pictures, folder)
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

    stages = {stage: spent(stage, folder) for stage in ("autoencoder", "flow", "decoder")}
    return _CARD.read_text().format(
        **facts(figures, load.FLOW_MODEL, pipeline),
        transformer_parameters=millions(pipeline.transformer),
        seed=SEED,
        scenes=f"{SCENES:,}",
        noise=LATENT_NOISE,
        **{f"{stage}_{name}": value for stage, values in stages.items() for name, value in values.items()},
    )


def main() -> None:
    options = begin("demo.training.flow", __doc__, "flow-model", "--export", "write the model as it is so far")
    folder = options.folder

    vae, networks = so_far(folder) if options.export else train(folder, options.device)
    pictures = data.pictures(data.scenes(SEED, 1000))
    export.write(networks, vae, latent_rgb(autoencoder.encode(vae, pictures), pictures), folder / "staging")
    figures = evaluate.measure(load.flow_pipeline().to(options.device), classifier.load())
    print(json.dumps(figures, indent=2))
    (load.FLOW_MODEL / "README.md").write_text(card(figures, folder))


if __name__ == "__main__":
    main()
