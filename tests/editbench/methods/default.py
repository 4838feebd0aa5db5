"""The pack as it ships: the defaults of its functions, and eta and sampler of its example workflow."""

import inspect

from imagic import fine_tune, interpolate, optimize_embedding
from imagic.keeping import edit_region

from ..studio import ETA, ETAS, THRESHOLD
from .outcome import Outcome

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
        with studio.measured(outcome.target):
            region = edit_region(studio.denoiser, latent, optimized, target, threshold=THRESHOLD)
        for eta in ETAS:
            with studio.measured(outcome.sample(f"{eta:g}")):
                picture = studio.sample_edit(latent, optimized, interpolate(optimized, target, eta), region)
            outcome.pictures[f"{eta:g}"] = picture
    return outcome
