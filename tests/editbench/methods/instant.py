"""The pack without any training: a caption of the photo in the place of what stage A optimizes, and no stage B."""

from ..outcome import Outcome
from ..pack import ETA, PICKED_FROM, THRESHOLD, sweep

HEADLINE = f"{ETA:g}"
ETAS = sorted({0.0, ETA, *PICKED_FROM})


def settings() -> dict:
    return {"etas": ETAS, "eta": ETA, "threshold": THRESHOLD}


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    with studio.measured(outcome.target):
        latent = studio.encode(pair.source)
        caption, target = (studio.text(text) for text in (pair.edit.source_caption, pair.edit.target_caption))
    sweep(studio, outcome, latent, caption, target, ETAS)
    return outcome
