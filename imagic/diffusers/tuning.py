"""Make an edit: learn a photo by the stages A and B, or start from a caption of it and learn nothing."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from .. import checks
from ..embedding import optimize_embedding
from ..finetuning import fine_tune
from ..training import History, Step
from . import options, pictures, settings
from .borrowing import borrowed
from .edit import ImagicEdit
from .families import family_of
from .images import as_picture
from .settings import EmbeddingSettings, TuningSettings


def tune(
    pipeline: DiffusionPipeline,
    image: Image.Image | np.ndarray | Tensor,
    prompt: str,
    *,
    embedding: EmbeddingSettings = EmbeddingSettings(),  # noqa: B008 - it is frozen
    tuning: TuningSettings = TuningSettings(),  # noqa: B008
    generator: torch.Generator | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> ImagicEdit:
    """Stages A and B: find the embedding that explains the photo, and tune the model until it does.

    The pipeline's `set_progress_bar_config` is heeded. Source: arXiv 2210.09276, Sec. 3.

    Args:
        pipeline: text-to-image; the same bits afterwards, its modules wanting gradients or not as before.
        image: the photo at the size that the pipeline is to draw; its sides are scaled down to multiples of 8 or 16
            pixels. PIL; an array [H, W, 3] or a tensor [3, H, W] (or one of either in a batch), uint8 or 0..1.
        prompt: the target, or a caption of the photo for an edit that is to serve many targets.
        embedding, tuning: what the two stages do.
        generator: what the seeds of both stages are drawn from. Default: those in the settings.
        on_step: called after every step of either; what it raises ends the run.

    Raises:
        ValueError: Imagic does not know this pipeline or its scheduler, or an argument is none that it takes.
        NonFiniteLoss: the loss became NaN or infinite.
    """
    checks.text("prompt", prompt)
    embedding = settings.of_kind("embedding", embedding, EmbeddingSettings)
    tuning = settings.of_kind("tuning", tuning, TuningSettings)
    options.check_callback("on_step", on_step)
    first, second = asdict(embedding), asdict(tuning)
    if generator is not None:
        options.check_generator(generator)
        first["seed"], second["seed"] = torch.randint(2**63 - 1, (2,), generator=generator, device=generator.device)
        first["seed"], second["seed"] = int(first["seed"]), int(second["seed"])
    latent = pictures.encode(pipeline, as_picture("image", image), family_of(pipeline).multiple)
    with borrowed(pipeline, latent) as denoiser:
        anchor, _ = denoiser.family.texts(prompt)
        optimized, before = _stage(optimize_embedding, pipeline, denoiser, latent, anchor, on_step, first)
        update, after = _stage(fine_tune, pipeline, denoiser, latent, optimized, on_step, second)
    return ImagicEdit(pipeline, latent, prompt, anchor, optimized, update, (before, after))


def instant(pipeline: DiffusionPipeline, image: Image.Image | np.ndarray | Tensor, caption: str) -> ImagicEdit:
    """An edit that needs no training: a caption of the photo stands for what stage A would have found.

    Sample it with the target as `prompt`. The photo is kept as in any edit; only what the caption and the target
    disagree on is drawn. It is weaker where the model cannot explain the photo by its caption.

    Args:
        pipeline, image: as for `tune`.
        caption: what the photo shows.

    Raises:
        ValueError: as `tune`.
    """
    checks.text("caption", caption)
    family = family_of(pipeline)
    latent = pictures.encode(pipeline, as_picture("image", image), family.multiple)
    anchor, _ = family.texts(caption)
    return ImagicEdit(pipeline, latent, caption, anchor, anchor, {})


def _stage(
    stage: Callable,
    pipeline: DiffusionPipeline,
    denoiser: Any,
    latent: Tensor,
    text: Any,
    on_step: Callable[[Step], None],
    values: dict[str, Any],
) -> tuple[Any, History]:
    """One of the two, with the pipeline's own kind of progress bar."""
    with pipeline.progress_bar(total=values["steps"]) as bar:
        bar.set_description("Embedding" if stage is optimize_embedding else "Tuning")

        def after(step: Step) -> None:
            bar.update()
            on_step(step)

        return stage(denoiser, latent, text, on_step=after, **values)
