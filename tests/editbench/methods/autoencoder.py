"""No edit at all: the source and the truth sent through the autoencoder, the ceiling of every method."""

from ..outcome import Outcome


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    for dial, picture in (("0", pair.source), ("truth", pair.truth)):
        with studio.measured(outcome.sample(dial)):
            outcome.pictures[dial] = studio.decode(studio.encode(picture))
    return outcome
