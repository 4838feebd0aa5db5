"""What the subcommands' arguments have in common. Nothing heavy is imported until it is needed."""

import argparse
from typing import Any

MODEL = (
    "the text-to-image model: 'demo' for the tiny one that comes along, a diffusers folder, a .safetensors checkpoint, "
    "or an id on the Hugging Face hub"
)


def add_model(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """--model, and where and how it runs."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", required=required, metavar="NAME", help=MODEL)
    group.add_argument(
        "--config",
        metavar="FOLDER",
        help="for a .safetensors checkpoint: a diffusers folder of its kind, so that nothing comes from the hub",
    )
    group.add_argument("--device", default="auto", help="auto, cuda, cuda:1, mps or cpu (default: the best there is)")
    group.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "float16", "bfloat16"),
        help="of the weights (default: 16 bits on a CUDA GPU, else 32)",
    )
    group.add_argument(
        "--offload",
        default="none",
        choices=("none", "model", "sequential"),
        help="what waits in main memory until it is needed: nothing, whole parts of the model, or single layers",
    )


def add_sampling(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """How an edit is drawn. Gives the group of these arguments, for more of them."""
    group = parser.add_argument_group("drawing")
    group.add_argument(
        "--strength",
        type=float,
        default=1.2,
        metavar="ETA",
        help="how far to go: 0 is the photo, 1 the sentence, more goes beyond (default: 1.2)",
    )
    group.add_argument("--num-inference-steps", type=int, default=20, metavar="N", help="of the sampler (default: 20)")
    group.add_argument("--guidance-scale", type=float, metavar="G", help="default: 4, or 3.5 for Flux")
    group.add_argument("--negative-prompt", metavar="TEXT", help="what the picture is to lead away from")
    group.add_argument(
        "--threshold",
        type=float,
        default=0.4,
        metavar="T",
        help="how large a change must be to be drawn, 0 to 0.95: less changes more of the photo (default: 0.4)",
    )
    group.add_argument("--seed", type=int, default=0, help="of the noise; the same gives the same picture (default: 0)")
    return group


def load(options: argparse.Namespace) -> Any:
    """The pipeline that `add_model` asked for.

    Raises:
        ValueError: there is none, or not on this device.
    """
    from ..diffusers import load_pipeline

    how = {name: getattr(options, name) for name in ("device", "dtype", "offload", "config")}
    return load_pipeline(options.model, **how)


def check_sentence(sentence: str | None) -> None:
    """
    Raises:
        ValueError: it is there, and says nothing.
    """
    if sentence is not None and not sentence.strip():
        raise ValueError("The sentence is empty: say what the finished photo shows.")


def check_caption(name: str, caption: str | None) -> None:
    """
    Raises:
        ValueError: it is there, and says nothing.
    """
    if caption is not None and not caption.strip():
        raise ValueError(f"{name} is empty: say what the photo shows now.")


def learning(options: argparse.Namespace) -> dict[str, Any]:
    """How photos are learned, as `batch.settings.Settings` takes it.

    Raises:
        ValueError: one of the numbers teaches nothing.
    """
    from .. import checks

    chosen = {name: getattr(options, name) for name in ("embedding_steps", "tuning_steps", "size")}
    for name, value in chosen.items():
        if value is not None:
            checks.integer(f"--{name.replace('_', '-')}", value, *((8, 8192) if name == "size" else (1, 10000)))
    return chosen | {"gradient_checkpointing": options.gradient_checkpointing}


def sampling(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_sampling` asked for, as `ImagicEdit.sample` takes it.

    Raises:
        ValueError: one of them makes no picture.
    """
    import torch

    from .. import checks
    from ..diffusers import options as limits

    seed = checks.integer("--seed", options.seed, *checks.SEEDS)
    scale = options.guidance_scale
    return {
        "eta": checks.number("--strength", options.strength, *limits.ETA),
        "num_inference_steps": checks.integer("--num-inference-steps", options.num_inference_steps, *limits.STEPS),
        "guidance_scale": None if scale is None else checks.number("--guidance-scale", scale, *limits.GUIDANCE),
        "negative_prompt": options.negative_prompt,
        "threshold": checks.number("--threshold", options.threshold, *limits.THRESHOLD),
        "generator": torch.Generator().manual_seed(seed),
    }


def draw(edit: Any, prompt: str | None, drawing: dict[str, Any], photo: Any = None) -> Any:
    """The picture of an edit, in the photo where that is given.

    Args:
        drawing: what `sampling` gave.
        photo: a PIL picture, as `files.read_photo` reads it.
    """
    if photo is None:
        return edit.sample(prompt=prompt, **drawing)
    from ..diffusers import restored

    region = edit.region(prompt, threshold=drawing["threshold"], guidance_scale=drawing["guidance_scale"])
    return restored(edit, photo, edit.sample(prompt=prompt, mask_image=region, **drawing), region)
