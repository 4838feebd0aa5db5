"""Quick stages on a real host, a user folder of the test's own, and which stages have trained."""

import importlib.util

import pytest
import torch

from ..conftest import Studio


class Quick:
    """The studio's stages on a corner of its photo, a step each."""

    def __init__(self, studio: Studio):
        self.studio = studio
        self.latent = {"samples": studio.latent["samples"][..., :8, :8].clone()}

    def optimize(self, **changes) -> dict:
        return self.studio.optimize(**{"latent": self.latent, "steps": 2, "samples": 1, **changes})

    def tune(self, **changes) -> dict:
        return self.studio.tune(**{"latent": self.latent, "steps": 2, "samples": 1, **changes})

    def sample(self, model) -> torch.Tensor:
        return self.studio.sample(model, self.studio.target, latent_image=self.latent)["samples"]


@pytest.fixture(scope="module")
def quick(studio):
    return Quick(studio)


@pytest.fixture(autouse=True)
def disk(comfyui, tmp_path, monkeypatch):
    """A user folder of the test's own; returns where finished stages go in it."""
    monkeypatch.setenv("IMAGIC_CACHE_GB", "1")
    monkeypatch.setattr(importlib.import_module("folder_paths"), "user_directory", str(tmp_path))
    return tmp_path / "__imagic" / "finished"


@pytest.fixture
def trainings(studio, monkeypatch):
    """Which stages have trained; clear it to forget them."""
    done = []
    for node, stage in (("optimize_embedding", "optimize_embedding"), ("fine_tune_unet", "fine_tune")):
        module = studio.module(f"nodes.{node}")
        original = getattr(module, stage)

        def run(*args, original=original, **settings):
            done.append(original.__name__)
            return original(*args, **settings)

        run.__name__ = stage
        monkeypatch.setattr(module, stage, run)
    return done
