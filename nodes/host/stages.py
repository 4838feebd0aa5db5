"""Runs a training stage on a MODEL, or takes it from disk where the very same one was trained before."""

import logging
from collections.abc import Callable

from torch import Tensor

from ...imagic.denoiser import Conditioning
from ...imagic.finished import Stage
from . import finished
from .progress import Progress, text_sender
from .training import loaded


def run(
    stage: Callable[..., Stage],
    title: str,
    model,
    samples: Tensor,
    text: Conditioning,
    fixed: dict,
    settings: dict,
    *,
    remember: bool,
    node_id: str | None,
) -> tuple[Stage, bool]:
    """What a stage gives, and whether it comes from disk.

    Args:
        stage: `optimize_embedding` or `fine_tune`.
        title: of the progress bar.
        samples: the LATENT's samples, [1, C, ...], in the autoencoder's scale.
        text, fixed: the tensors and the other entries of a CONDITIONING.
        settings: what the stage takes beside them.
        remember: look for the result on disk, and keep a new one there.

    Raises:
        ValueError, torch.OutOfMemoryError: see `loaded` and the stage.
    """
    say = text_sender(node_id)
    with loaded(model, samples, text, fixed) as ready:
        key = None
        if remember and (store := finished.store()).most:
            key = finished.key(stage, ready.model, ready.denoiser, samples, text, fixed, settings)
        if key is not None and (found := store.get(key)):
            before, after = found[1].validation_before, found[1].validation_after
            say(f"trained before, taken from disk, validation loss {before:.4f} -> {after:.4f}")
            return found, True
        ready.prepare(
            tune=settings.get("tune"),
            rank=settings.get("rank", 1),
            noise_samples=settings["samples"],
            gradient_checkpointing=settings["gradient_checkpointing"],
        )
        with Progress(model, title, settings["steps"], node_id) as progress:
            done = stage(ready.denoiser, ready.latent, ready.conditioning, **settings, on_step=progress)
            progress.sum_up(done[1])
    if key is not None and (reason := store.put(key, done)):
        sentence = f"This training is not kept on disk: save it with Save Imagic Edit. {reason}"
        logging.warning(sentence)
        say(sentence)
    return done, False
