"""The default, anchored in a caption of the photo: what is trained serves every target text."""

from imagic import fine_tune, optimize_embedding

from ..outcome import Outcome
from ..pack import ETA, sweep
from . import default

ETAS = [0.0, ETA]


def settings() -> dict:
    """The default's, which is not swept here."""
    return {name: value for name, value in default.settings().items() if name != "pick_samples"} | {"etas": ETAS}


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    with studio.measured(outcome.photo):
        latent = studio.encode(pair.source)
        optimized, _ = optimize_embedding(studio.denoiser, latent, studio.text(pair.edit.source_caption))
    with studio.measured(outcome.photo, weight_gradients=True):
        update, _ = fine_tune(studio.denoiser, latent, optimized)
    with studio.tuned(update):
        with studio.measured(outcome.target):
            target = studio.text(pair.edit.target_caption)
        sweep(studio, outcome, latent, optimized, target, ETAS)
    return outcome
