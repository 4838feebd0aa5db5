"""What the subcommands' arguments have in common. Nothing heavy is imported until it is needed."""

import argparse
from pathlib import Path
from typing import Any

from .. import checks, model_name

WORKERS = "How many work at once, 1 to 10000. Default: one for each GPU; without a GPU one."
STAGE_STEPS, SIZE = (1, 10000), (8, 8192)
MODEL = (
    "The text-to-image model: a diffusers folder, a .safetensors checkpoint, an id on the Hugging Face hub, or demo "
    "for the tiny model that comes along."
)


def add_model(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """--model, and where and how it runs."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", required=required, metavar="NAME", help=MODEL)
    group.add_argument(
        "--config",
        metavar="FOLDER",
        help="For a .safetensors checkpoint: a diffusers folder of the same kind. With it nothing comes from the hub.",
    )
    group.add_argument(
        "--device",
        default="auto",
        help="Where it runs: cuda, cuda:1, mps, cpu, or auto for the best there is. Default: auto.",
    )
    group.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "float16", "bfloat16"),
        help="The numbers of the weights. Default: auto, 16 bits on a CUDA GPU and else 32.",
    )
    group.add_argument(
        "--offload",
        default="none",
        choices=("none", "model", "sequential"),
        help="Saves GPU memory: the model waits in main memory, in whole parts (model) or layer by layer (sequential, "
        "the slowest; while training it saves with --gradient-checkpointing alone). Default: none.",
    )


def add_learning(group: argparse._ArgumentGroup, each: str = "") -> None:
    """How much is learned of a photo.

    Args:
        each: in the place of "25", "10" in the help, where methods have numbers of their own.
    """
    group.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="How large to draw: the area of a square of this side, 8 to 8192 pixels. Default: the model's own size.",
    )
    for stage, name, learned, steps in (
        ("A", "--embedding-steps", "the text", 25),
        ("B", "--tuning-steps", "the photo", 10),
    ):
        told = f"Training steps of stage {stage}, which learns {learned}, 1 to 10000. Default: {each or steps}."
        group.add_argument(name, type=int, metavar="N", help=told)
    group.add_argument(
        "--gradient-checkpointing",
        action="store_true",
        help="Train with a fraction of the memory, in a third more time. Default: off.",
    )


def add_sampling(parser: argparse.ArgumentParser, rows: str = "") -> argparse._ArgumentGroup:
    """How an edit is drawn. Gives the group of these arguments, for more of them.

    Args:
        rows: whose strength and seed these are, where a table may have others.
    """
    group = parser.add_argument_group("drawing")
    group.add_argument(
        "--strength",
        type=float,
        default=1.2,
        metavar="ETA",
        help=f"How far to go{rows}, -2 to 3: 0 is the photo, 1 the sentence, more goes beyond. Default: 1.2.",
    )
    group.add_argument(
        "--num-inference-steps", type=int, default=20, metavar="N", help="Steps of the sampler, 1 to 1000. Default: 20."
    )
    group.add_argument(
        "--guidance-scale",
        type=float,
        metavar="G",
        help="How closely to follow the sentence, 0 to 100. Default: 4, or 3.5 for Flux.",
    )
    group.add_argument("--negative-prompt", metavar="TEXT", help="What the picture is not to show. Default: nothing.")
    group.add_argument(
        "--threshold",
        type=float,
        default=0.4,
        metavar="T",
        help="How large a change must be to be drawn, 0 to 0.95. Lower it to change more of the photo. Default: 0.4.",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help=f"The noise to start from{rows}, 0 to 2^64 - 1. The same seed gives the same picture. Default: 0.",
    )
    return group


def check_model(options: argparse.Namespace) -> None:
    """What `add_model` asked for, as far as it shows before diffusers is imported, which takes seconds.

    Raises:
        ValueError: there is no such model, or no such device here.
    """
    model_name.check(options.model, options.config)
    if (options.device, options.offload) != ("auto", "none"):
        from ..devices import device_of

        device_of(options.device, options.offload)


def load(options: argparse.Namespace) -> Any:
    """The pipeline that `add_model` asked for.

    Raises:
        ValueError: there is none.
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


def check_file(path: Path) -> None:
    """Raises ValueError unless it is there."""
    if not path.is_file():
        raise ValueError(f"There is no file {checks.shown(str(path))}: check its path.")


def check_results(folder: Path) -> None:
    """Raises ValueError if a file is where the folder of the results would be, or where one above it would."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if there.exists() and not there.is_dir():
        raise ValueError(f"{checks.shown(str(there))} is a file: name a folder for the results.")


def check_learning(options: argparse.Namespace) -> None:
    """
    Raises:
        ValueError: a number of `add_learning` teaches nothing.
    """
    for name, limits in {"size": SIZE, "embedding_steps": STAGE_STEPS, "tuning_steps": STAGE_STEPS}.items():
        if (value := getattr(options, name)) is not None:
            checks.integer(f"--{name.replace('_', '-')}", value, *limits)


def learning(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_learning` asked for, as `batch.settings.Settings` takes it."""
    names = "embedding_steps", "tuning_steps", "size", "gradient_checkpointing"
    return {name: getattr(options, name) for name in names}


def check_sampling(options: argparse.Namespace) -> None:
    """
    Raises:
        ValueError: a number of `add_sampling` makes no picture.
    """
    checks.integer("--seed", options.seed, *checks.SEEDS)
    checks.number("--strength", options.strength, *checks.ETA)
    checks.integer("--num-inference-steps", options.num_inference_steps, *checks.STEPS)
    if options.guidance_scale is not None:
        checks.number("--guidance-scale", options.guidance_scale, *checks.GUIDANCE)
    checks.number("--threshold", options.threshold, *checks.THRESHOLD)


def sampling(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_sampling` asked for, as `ImagicEdit.sample` takes it."""
    import torch

    names = "num_inference_steps", "guidance_scale", "negative_prompt", "threshold"
    generator = torch.Generator().manual_seed(options.seed)
    return {"eta": options.strength, **{name: getattr(options, name) for name in names}, "generator": generator}


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
