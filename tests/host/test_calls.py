"""Packs wrap the host's functions and know how the host calls them. An argument by position that the host gives by
keyword makes their wrappers raise "got multiple values"."""

import functools
import importlib
import inspect
import sys
import types
from collections import defaultdict

import pytest

from .conftest import in_inference_mode

MODULES = (
    "comfy.latent_formats",
    "comfy.lora",
    "comfy.model_base",
    "comfy.model_management",
    "comfy.model_patcher",
    "comfy.model_sampling",
    "comfy.sample",
    "comfy.samplers",
    "comfy.sd",
    "comfy.utils",
    "folder_paths",
    "latent_preview",
    "node_helpers",
)


@pytest.fixture
def calls(pack, monkeypatch):
    """Who gives which arguments of the host's functions by position: (ours or not) -> function -> names."""
    found = {True: defaultdict(set), False: defaultdict(set)}

    def watch(owner, name: str, function) -> None:
        parameters = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def run(*args, **kwargs):
            ours = sys._getframe(1).f_globals.get("__name__", "").startswith(pack.__name__)
            found[ours][f"{owner.__name__}.{name}"].update(parameters[: len(args)])
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, run)

    for module in map(importlib.import_module, filter(importlib.util.find_spec, MODULES)):
        own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
        for owner in (module, *(value for value in own if isinstance(value, type))):
            for name, value in list(vars(owner).items()):
                if isinstance(value, types.FunctionType) and value.__module__ == module.__name__ and name[:2] != "__":
                    watch(owner, name, value)
    return found


@in_inference_mode
def test_the_host_is_called_as_it_calls_itself(calls, studio):
    optimized = studio.optimize()["result"][0]
    tuned, lora, *_ = studio.tune(conditioning=optimized)["result"]
    kept = studio.keep(tuned, studio.latent, optimized, studio.target, 0.4)[0]
    studio.sample(kept, studio.interpolate(optimized, studio.target)[0])
    # The host's own part: what Load LoRA and KSampler do.
    importlib.import_module("comfy.sd").load_lora_for_models(studio.model, studio.clip, lora, 1.0, 0.0)
    studio.sample(studio.model, studio.target)
    ours, theirs = calls[True], calls[False]
    both = ours.keys() & theirs.keys()
    assert len(both) > 5
    by_position = {name: ours[name] - theirs[name] for name in both}
    assert {name: given for name, given in by_position.items() if given} == {}
