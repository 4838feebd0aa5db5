"""The default, anchored in a caption of the photo: what is trained serves every target text."""

from imagic import fine_tune, interpolate, optimize_embedding

from ..studio import ETAS
from .outcome import Outcome


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    with studio.measured(outcome.photo):
        latent = studio.encode(pair.source)
        optimized, _ = optimize_embedding(studio.denoiser, latent, studio.text(pair.edit.source_caption))
    with studio.measured(outcome.photo, weight_gradients=True):
        update, _ = fine_tune(studio.denoiser, latent, optimized)
    with studio.tuned(update):
        for eta in ETAS:
            with studio.measured(outcome.sample(f"{eta:g}")):
                target = studio.text(pair.edit.target_caption)
                picture = studio.sample(interpolate(optimized, target, eta), latent)
            outcome.pictures[f"{eta:g}"] = picture
    return outcome
