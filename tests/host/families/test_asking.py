"""What asks a model without training it: Keep Photo and Pick Edit."""

import importlib

import pytest
import torch

from .rows import FAMILIES

KNOWN = {row.name: row for row in FAMILIES if row.known}


def flux(workbench):
    """A workbench of the one family that reads its guidance; nothing on the host of March 2024, which is older."""
    if "Flux.1 dev" not in KNOWN:
        assert not hasattr(importlib.import_module("comfy.supported_models"), "Flux")
        return None
    return workbench(KNOWN["Flux.1 dev"])


def test_guidance_that_is_set_after_c_counts_for_the_photo_too(workbench):
    """As FluxGuidance before the sampler does; else the photo would be explained under another one than the edit."""
    bench = flux(workbench)
    if bench is None:
        return
    optimized = bench.optimize()["result"][0]
    tokens, extras = bench.interpolate(optimized, 0)[0]
    guided = [[tokens, {**extras, "guidance": 30.0}]]
    assert not torch.equal(bench.sample(bench.model, guided), bench.sample(bench.model, optimized))
    kept = bench.sample(bench.keep_photo(bench.model, optimized), guided)
    assert (kept - bench.latent["samples"]).abs().max() < 0.02


@pytest.mark.parametrize("name", ["SD 1.x", "SDXL", "Flux.1 dev", "Chroma", "Qwen-Image"])
def test_a_sweep_is_ranked_by_the_model_alone(workbench, name):
    if name not in KNOWN:
        assert name not in ("SD 1.x", "SDXL")
        return
    bench = workbench(KNOWN[name])
    photo, align = bench.latent["samples"], bench.module("nodes.pick_edit")._alignment_by_model
    latents = torch.cat([photo, photo, photo.flip(-1), -photo])  # the photo, and three pictures of it to choose from
    with torch.inference_mode():
        single = bench.module("nodes.inputs").single_entry
        (start, fixed), (end, _) = single(bench.negative), single(bench.target)
        alignment = align(bench.model, latents, start, end, fixed, 2)
    assert alignment.shape == (3,)
    assert alignment[0] == 0
    assert torch.isfinite(alignment).all()
    assert alignment[1:].abs().min() > 0
    assert bench.weights_are_untouched()


FRAMES = [name for name in ("Qwen-Image", "Wan 2.1 T2V") if name in KNOWN]


@pytest.mark.parametrize("name", FRAMES or [None])
def test_a_latent_without_an_axis_for_frames_is_refused_where_the_model_has_one(workbench, name):
    """Of Flux's or Stable Diffusion 3's VAE, which has as many channels; the model would take it for many frames."""
    if name is None:
        # The host of March 2024 is older than both.
        assert not hasattr(importlib.import_module("comfy.supported_models"), "WAN21_T2V")
        return
    bench = workbench(KNOWN[name])
    flat = {"samples": bench.latent["samples"][:, :, 0]}
    with pytest.raises(ValueError, match="axis for frames: encode the photo with the VAE of this model"):
        bench.optimize(latent=flat)
