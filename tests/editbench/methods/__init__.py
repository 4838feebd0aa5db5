"""The methods side by side. Each is one function over (studio, pair), with one setting for all pairs and models."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..outcome import Outcome
from . import (
    autoencoder,
    ddim_inversion,
    default,
    flowedit,
    further_target,
    inpaint,
    instant,
    ledits,
    paper,
    peer,
    sdedit,
)

CEILING = "autoencoder"  # no method, but judged as one
# Pairs, the first five of each kind; of methods that train for minutes, the first one.
SUBSET, SLOW_SUBSET = 30, 6


@dataclass(frozen=True)
class Method:
    """
    Args:
        edit: makes an `Outcome` with the pictures of one pair, by dial: η, strength, or whatever the method can turn.
        settings: all that decides what it does besides its code. Another setting is another method to the cache.
        headline: the dial that is reported; None: the best single one on the pairs that it is reported on, the
            same for all, which favours a rival.
        bench, development: how many pairs of each group it runs on, None for all.
        trains: it uses `imagic` to train, whose code then is part of what decides.
        keeps: and to keep the photo and to pick.
        like: the method whose outcomes these are, reported at another dial.
        swept: its dial is turned through, so that there is something to choose.
        models: on which it runs, None for all.
    """

    edit: Callable[..., Outcome]
    title: str
    settings: dict = field(default_factory=dict)
    headline: str | None = None
    bench: int | None = None
    development: int | None = 0
    trains: bool = False
    keeps: bool = False
    like: str | None = None
    swept: bool = True
    models: tuple[str, ...] | None = None


_DEFAULT = Method(
    default.edit,
    "this pack's default",
    default.settings(),
    headline=default.HEADLINE,
    trains=True,
    keeps=True,
    development=None,
)
METHODS = {
    CEILING: Method(autoencoder.edit, "autoencoder alone", headline="truth", development=None),
    "default": _DEFAULT,
    "further_target": replace(
        _DEFAULT,
        edit=further_target.edit,
        title="default, tuned under a source caption",
        settings=further_target.settings(),
        bench=SUBSET,
        development=0,
        swept=False,
    ),
    "pick": replace(_DEFAULT, title="default, eta picked by Pick Edit", headline=default.PICKED, like="default"),
    "instant": Method(
        instant.edit,
        "a caption of the photo, no training",
        instant.settings(),
        headline=instant.HEADLINE,
        keeps=True,
        development=None,
    ),
    "flowedit": Method(flowedit.edit, "FlowEdit", flowedit.SETTINGS, development=None),
    "ledits": Method(ledits.edit, "LEDITS++", ledits.SETTINGS, models=("demo",), development=None),
    "inpaint": Method(inpaint.edit, "inpainting the found region", inpaint.settings(), keeps=True, development=None),
    "paper": Method(paper.edit, "the paper's recipe", paper.SETTINGS, bench=SLOW_SUBSET, development=5, trains=True),
    "sdedit": Method(sdedit.edit, "SDEdit", sdedit.SETTINGS, development=None),
    "ddim_inversion": Method(ddim_inversion.edit, "inversion", development=None),
}


def available() -> dict[str, Method]:
    """The methods that can run here: with PEER set, the diffusers community pipeline as well."""
    if path := os.environ.get("PEER"):
        return METHODS | {"peer": rival(peer.settings(path))}
    return METHODS


def rival(settings: dict) -> Method:
    """The community pipeline, of such settings."""
    return Method(peer.edit, "diffusers community pipeline", settings, bench=SLOW_SUBSET, models=("demo",))


def on(model: str, known: dict[str, Method]) -> dict[str, Method]:
    """Those that run on a model."""
    return {name: method for name, method in known.items() if method.models is None or model in method.models}


def source(method: Method) -> Path:
    """A method's own file."""
    return Path(inspect.getfile(method.edit))
