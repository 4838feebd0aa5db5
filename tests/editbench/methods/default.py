"""The pack as it ships: the defaults of its functions, and eta and sampler of its example workflow."""

import inspect

from imagic import fine_tune, optimize_embedding

from ..outcome import Outcome
from ..studio import ETA, ETAS, THRESHOLD

HEADLINE = f"{ETA:g}"


def settings() -> dict:
    """What users get, read from where they get it."""
    stages = {"embedding": optimize_embedding, "fine_tuning": fine_tune}
    defaults = {
        stage: {
            name: parameter.default
            for name, parameter in inspect.signature(function).parameters.items()
            if isinstance(parameter.default, str | int | float)
        }
        for stage, function in stages.items()
    }
    return {**defaults, "etas": ETAS, "eta": ETA, "threshold": THRESHOLD}


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    with studio.measured(outcome.target):
        latent = studio.encode(pair.source)
        target = studio.text(pair.edit.target_caption)
        optimized, _ = optimize_embedding(studio.denoiser, latent, target)
    with studio.measured(outcome.target, weight_gradients=True):
        update, _ = fine_tune(studio.denoiser, latent, optimized)
    with studio.tuned(update):
        studio.sweep(outcome, latent, optimized, target)
    return outcome
