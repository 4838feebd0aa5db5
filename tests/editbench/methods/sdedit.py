"""SDEdit (arXiv 2108.01073): noise the photo part of the way, sample back under the target text."""

from ..outcome import Outcome

SETTINGS = {"strengths": [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0]}


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    for strength in SETTINGS["strengths"]:
        dial = f"{strength:g}"
        with studio.measured(outcome.sample(dial)):
            latent = studio.encode(pair.source)
            outcome.pictures[dial] = studio.sample(studio.text(pair.edit.target_caption), latent, strength=strength)
    return outcome
