"""The pack as it ships: the defaults of its functions, and eta and sampler of its example workflow; and the eta of
each pair that Pick Edit takes from the sweep of its template, which sees no truth."""

import inspect

import torch

from imagic import fine_tune, optimize_embedding
from imagic.scoring import rank

from ..cost import Cost
from ..outcome import Outcome
from ..pack import ETA, ETAS, PICKED_FROM, THRESHOLD, sweep

HEADLINE = f"{ETA:g}"
PICKED = "pick"
SAMPLES = inspect.signature(rank).parameters["samples"].default


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
    return {
        **defaults,
        "etas": ETAS,
        "eta": ETA,
        "threshold": THRESHOLD,
        "picked_from": PICKED_FROM,
        "pick_samples": SAMPLES,
    }


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    with studio.measured(outcome.target):
        latent = studio.encode(pair.source)
        target = studio.text(pair.edit.target_caption)
        optimized, _ = optimize_embedding(studio.denoiser, latent, target)
    with studio.measured(outcome.target, weight_gradients=True):
        update, _ = fine_tune(studio.denoiser, latent, optimized)
    with studio.tuned(update):
        sweep(studio, outcome, latent, optimized, target)
    dials, looking = [f"{eta:g}" for eta in PICKED_FROM], Cost()
    with studio.measured(looking):
        candidates = [studio.encode(outcome.pictures[dial]) for dial in dials]
        ranking = rank(studio.denoiser, latent, torch.cat(candidates), optimized, target, samples=SAMPLES)
    # To choose among all of them, all have to be drawn.
    outcome.samples[PICKED] = sum((outcome.samples[dial] for dial in dials), looking)
    outcome.pictures[PICKED] = outcome.pictures[dials[ranking.order[0]]]
    return outcome
