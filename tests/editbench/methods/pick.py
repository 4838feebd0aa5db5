"""The default with its automatic pick: the eta of each pair chosen by Pick Edit, which sees no truth."""

import torch

from imagic import fine_tune, optimize_embedding
from imagic.scoring import rank

from ..cost import Cost
from ..outcome import Outcome

HEADLINE = "pick"
SAMPLES = 8  # Pick Edit's default


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
    dials = list(outcome.pictures)
    looking = Cost()
    with studio.measured(looking):
        candidates = [studio.encode(outcome.pictures[dial]) for dial in dials]
        ranking = rank(studio.denoiser, latent, torch.cat(candidates), optimized, target, samples=SAMPLES)
    # To choose among all of them, all have to be drawn.
    outcome.samples[HEADLINE] = sum((outcome.samples[dial] for dial in dials), looking)
    outcome.pictures[HEADLINE] = outcome.pictures[dials[ranking.order[0]]]
    return outcome
