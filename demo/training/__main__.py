"""Makes the demo model from a seed, in two generations. Stages continue from their checkpoints in build/demo-model.

The second trains autoencoder, UNet and text encoder further, on more scenes. With --grow it starts from the bundled
weights, and the classifier stays as it is.
"""

import json
from pathlib import Path

from diffusers import AutoencoderTiny
from PIL import Image
from torch.nn import ModuleDict

from demo import classifier, load, words
from demo.scenes import HELD_OUT_SEEDS, Attributes, Scene, caption, render
from demo.training import autoencoder, data, evaluate, export, text_to_image
from demo.training import classifier as classifier_training
from demo.training.command import begin, facts, millions, row
from demo.training.loop import spent

SEED = 1
SCENES, GROWN_SCENES = 20_000, 40_000
ENCODED = 12_000  # of them, for the diffusion model: encoding is slow. All of them where it grows
AUTOENCODER_STEPS, DECODER_STEPS, DIFFUSION_STEPS, CLASSIFIER_STEPS = 4800, 1800, 4000, 1700
GROWN_AUTOENCODER_STEPS, GROWN_DECODER_STEPS = 8000, 9000
GROWN_DIFFUSION = {"steps": 8000, "horizon": 24_000, "cooldown": 3000}
DECODED = 4000  # pictures the classifier also sees through the autoencoder

# The demo's source picture: of a withheld combination and seed, and so new to the model.
PHOTO = Scene(Attributes("dog", "brown", "sitting", "none", "snow"), seed=HELD_OUT_SEEDS.start + 5)

TARGET = "a brown dog sitting in the snow wearing a crown"

_ROOT = Path(__file__).resolve().parents[2]
_CARD = Path(__file__).with_name("card.md")


def card(figures: dict, folder: Path) -> str:
    """The model card, from the template and what was measured; `folder` is that of the second generation."""
    pipeline = load.pipeline()
    stages = {stage: spent(stage, folder) for stage in ("autoencoder", "diffusion", "decoder")}
    return _CARD.read_text().format(
        **facts(figures, load.MODEL, pipeline),
        unet_parameters=millions(pipeline.unet),
        words=len(words.TOKEN_IDS) - 2,
        seed=SEED,
        scenes=f"{SCENES:,}",
        encoded=f"{ENCODED:,}",
        grown_scenes=f"{GROWN_SCENES:,}",
        first_autoencoder_steps=AUTOENCODER_STEPS,
        first_decoder_steps=DECODER_STEPS,
        first_diffusion_steps=DIFFUSION_STEPS,
        classifier_steps=CLASSIFIER_STEPS,
        photo=caption(PHOTO.attributes),
        target=TARGET,
        renders=row(figures["classifier_on_renders"]),
        **{f"{stage}_{name}": value for stage, values in stages.items() for name, value in values.items()},
    )


def make(folder: Path, device: str) -> tuple:
    """Autoencoder, networks {"unet", "text"} and classifier, all from random weights."""
    scenes = data.scenes(SEED, SCENES)
    print(f"rendering {SCENES} scenes", flush=True)
    pictures = data.cached_pictures(scenes, folder / "pictures.npy")
    vae = autoencoder.new(SEED + 1).to(device)
    vae = autoencoder.train(vae, pictures, steps=AUTOENCODER_STEPS, seed=SEED + 1, folder=folder)
    print("encoding", flush=True)
    latents = data.cached_tensor(folder / "latents.safetensors", lambda: autoencoder.encode(vae, pictures[:ENCODED]))
    vae = autoencoder.polish_decoder(vae, pictures, latents, steps=DECODER_STEPS, seed=SEED + 2, folder=folder)
    networks = text_to_image.new(SEED + 3).to(device)
    networks = text_to_image.train(
        networks, scenes[:ENCODED], latents, steps=DIFFUSION_STEPS, seed=SEED + 3, folder=folder
    )
    decoded = data.cached_tensor(
        folder / "decoded.safetensors", lambda: data.to_pixels(autoencoder.decode(vae, latents[:DECODED]))
    ).numpy()
    judge = classifier_training.train(
        scenes, pictures, decoded, steps=CLASSIFIER_STEPS, seed=SEED + 4, folder=folder, device=device
    )
    return vae, networks, judge


def bundled(device: str) -> tuple:
    """As `make`, of the weights that are there."""
    return load.vae().to(device), text_to_image.bundled().to(device), classifier.load()


def grow(vae: AutoencoderTiny, networks: ModuleDict, folder: Path) -> tuple:
    """Pictures, latents, autoencoder and networks, trained further."""
    scenes = data.scenes(SEED, GROWN_SCENES)
    print(f"rendering {GROWN_SCENES} scenes", flush=True)
    pictures = data.cached_pictures(scenes, folder / "pictures.npy")
    # Whole pictures and squares from the start, since what is left to mend are few large errors.
    settings = {"steps": GROWN_AUTOENCODER_STEPS, "rate": 4e-4, "cropped": 0, "squares": 10}
    vae.requires_grad_(True)  # its encoder was frozen while its decoder was polished
    vae = autoencoder.train(vae, pictures, seed=SEED + 5, folder=folder, **settings)
    print("encoding", flush=True)
    latents = autoencoder.cached_latents(vae, pictures, folder)
    networks = text_to_image.train(networks, scenes, latents, seed=SEED + 7, folder=folder, **GROWN_DIFFUSION)
    # Last, since it moves no latent, and samples are worth seeing before.
    vae = autoencoder.polish_decoder(vae, pictures, latents, steps=GROWN_DECODER_STEPS, seed=SEED + 6, folder=folder)
    return pictures, latents, vae, networks


def main() -> None:
    options = begin("demo.training", __doc__, "demo-model", "--grow", "train the bundled model further")
    vae, networks, judge = bundled(options.device) if options.grow else make(options.folder, options.device)
    # Apart, since its stages have the same names.
    folder = options.folder / "grown"
    folder.mkdir(exist_ok=True)
    pictures, latents, vae, networks = grow(vae, networks, folder)

    export.write(networks, vae, export.latent_rgb(latents[:1000], pictures[:1000]), folder / "staging")
    export.write_classifier(judge, folder / "staging")
    Image.fromarray(render(PHOTO)).save(_ROOT / "demo" / "photo.png")
    figures = evaluate.measure(load.pipeline(), classifier.load())
    print(json.dumps(figures, indent=2))
    (load.MODEL / "README.md").write_text(card(figures, folder))


if __name__ == "__main__":
    main()
