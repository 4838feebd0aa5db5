"""Every picture of a run, judged."""

from dataclasses import dataclass, replace

import numpy as np

from demo import classifier

from . import metrics, pairs
from .cost import Cost
from .methods import CEILING, Method
from .store import Store, Task


@dataclass(frozen=True)
class Judged:
    """What a method made of one pair."""

    index: int
    pair: pairs.Pair
    figures: dict[str, metrics.Figures]  # by dial
    pictures: dict[str, np.ndarray]
    photo: Cost
    target: Cost
    samples: dict[str, Cost]
    plain: Cost
    reconstruction_gap_db: float | None  # how far dial "0" is from what the autoencoder makes of the source


def judge(known: dict[str, Method], todo: list[Task], store: Store) -> dict[tuple[str, str], list[Judged]]:
    """By method and group, of tasks on one model."""
    model, judged = classifier.load(), {}
    for group in dict.fromkeys(task.group for task in todo):
        drawn = pairs.group(group)
        for task in (task for task in todo if task.group == group):
            ceiling = store.read(replace(task, method=CEILING))[0].pictures
            row = _judge(task, drawn[task.index], store, ceiling, model)
            judged.setdefault((task.method, group), []).append(row)
        for name, method in known.items():
            if (method.like, group) in judged:
                judged[name, group] = judged[method.like, group]
    return judged


def _judge(task: Task, pair: pairs.Pair, store: Store, ceiling: dict, model: classifier.Classifier) -> Judged:
    outcome, plain = store.read(task)
    ceilings = metrics.Ceilings(ceiling["0"], ceiling["truth"])
    seen = classifier.predict(model, np.stack(list(outcome.pictures.values())))
    figures = {
        dial: metrics.figures(pair, picture, ceilings, {name: values[i] for name, values in seen.items()})
        for i, (dial, picture) in enumerate(outcome.pictures.items())
    }
    gap = None
    if "0" in outcome.pictures:
        gap = metrics.psnr(ceiling["0"], pair.source) - metrics.psnr(outcome.pictures["0"], pair.source)
    costs = (outcome.photo, outcome.target, outcome.samples, plain)
    return Judged(task.index, pair, figures, outcome.pictures, *costs, gap)
