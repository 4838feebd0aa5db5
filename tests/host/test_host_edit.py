"""What Save Imagic Edit saves, `imagic.diffusers` goes on with: the counterpart of test_diffusers_edit.py."""

import importlib

import comfy.utils
import numpy as np
import pytest
import torch
from PIL import Image

from demo import load
from imagic.cli import main
from imagic.diffusers import DiffusersDenoiser, ImagicEdit
from imagic.diffusers.families import family_of
from imagic.diffusers.host_names import places
from imagic.finetuning import TUNE_MODES
from tests.imagic import pipelines

from .ready import ready_to_train
from .test_diffusers_edit import KNOWN, MODELS, TEXT, host_model

NORMS = "norm_q", "norm_k", "norm_added_q", "norm_added_k"
CAPTION = "a brown dog in the snow"  # far from the target
PHOTO = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)) / 255


@pytest.fixture(scope="module")
def learned(studio):
    """Of the demo model: the photo's latent, and what stage A gives for it."""
    latent = studio.encode(PHOTO)
    how = {"latent": latent, "conditioning": studio.text(CAPTION), "steps": 1}
    return latent, studio.optimize(**how)["result"][0]


@pytest.fixture(scope="module", params=TUNE_MODES)
def saved(request, studio, learned, tmp_path_factory):
    """An edit that the nodes saved, with an update large enough to see: where its files are, and the update."""
    latent, optimized = learned
    _, lora, _ = studio.tune(latent=latent, conditioning=optimized, steps=1, tune=request.param)["result"]
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        for name, tensor in lora.items():
            if name.endswith(".lora_up.weight"):
                tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator))
            elif name.endswith((".diff", ".diff_b")):
                fan_in = tensor[0].numel() if tensor.ndim > 1 else 100
                tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator) / fan_in**0.5)
    folder = tmp_path_factory.mktemp("output")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("folder_paths"), "output_directory", str(folder))
        with torch.inference_mode():
            parts = studio.model, optimized, studio.text(TEXT), lora, PHOTO
            studio.nodes["ImagicSaveEdit"]().save(*parts, "hat", latent)
            studio.nodes["ImagicSaveEdit"]().save(*parts, "small")
    return folder / "imagic", lora


@pytest.mark.cpu
def test_diffusers_computes_with_the_file_as_the_host_does(studio, learned, saved, recwarn):
    folder, lora = saved
    edit = ImagicEdit.load(folder / "hat_00001_.safetensors", load.pipeline())
    assert not [warning for warning in recwarn if "was tuned on" in str(warning.message)]
    tuned = studio.module("nodes.host.lora").apply_update(studio.model, lora)
    latent, optimized = learned
    noise = torch.randn(2, *edit.photo.shape[1:], generator=torch.Generator().manual_seed(0))
    with ready_to_train(studio, tuned, latent["samples"], optimized) as (host, photo, text):
        torch.testing.assert_close(edit.photo, photo)
        denoiser = DiffusersDenoiser(edit.pipeline)
        sigma = denoiser.sigma(torch.tensor([0.3, 0.8]))
        noisy = denoiser.add_noise(edit.photo, noise, sigma)
        with torch.no_grad():
            theirs, base = host(noisy, sigma, text), denoiser(noisy, sigma, edit.optimized)
        with edit._tuned(None) as tuned_denoiser, torch.no_grad():
            ours = tuned_denoiser(noisy, sigma, edit.optimized)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    assert (ours - base).abs().max() > 0.05


@pytest.mark.parametrize("saved", ["all weights"], indirect=True)
def test_sample_draws_the_edit_as_the_hosts_sampler_does(studio, learned, saved):
    folder, lora = saved
    edit = ImagicEdit.load(folder / "hat_00001_.safetensors", load.pipeline())
    latent, optimized = learned
    with torch.inference_mode():
        tuned = studio.module("nodes.host.lora").apply_update(studio.model, lora)
    anchor = studio.text(TEXT)
    keeping, _ = studio.keep(tuned, latent, optimized, anchor, 0.4)
    conditioning = studio.interpolate(optimized, anchor, 1.2)[0]
    # Without guidance, which test_diffusers_edit.py has: it enlarges what differs between the two samplers' levels.
    theirs = studio.decode(studio.sample(keeping, conditioning, steps=20, cfg=1.0, latent_image=latent))[0]
    ours = torch.from_numpy(np.asarray(edit.sample(eta=1.2, num_inference_steps=20, guidance_scale=1)).copy()) / 255
    error, change = (float((ours - other.clamp(0, 1)).square().mean()) for other in (theirs, studio.decode(latent)[0]))
    assert error < 1e-3
    assert change > 1e-3
    assert error < change / 10


@pytest.mark.parametrize("saved", ["LoRA"], indirect=True)
def test_the_command_draws_from_the_file(saved, tmp_path, capsys):
    """From one that holds the photo, and from one that holds a picture of it, which is as large as this photo."""
    for name in ("hat", "small"):
        arguments = [str(saved[0] / f"{name}_00001_.safetensors"), "--model", "demo", "--dtype", "float32"]
        arguments += ["--num-inference-steps", "1"]
        assert main(["apply", *arguments, "-o", str(tmp_path / f"{name}.png")]) == 0, capsys.readouterr().err
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("hat", "small"))
    assert np.abs(first - second).max() <= 2


# Of the families whose names the host maps itself, to load files that diffusers saved.
HOST_MAPS = {
    "Stable Diffusion 1": "unet_to_diffusers",
    "Stable Diffusion 2": "unet_to_diffusers",
    "SDXL": "unet_to_diffusers",
    "SD3": "mmdit_to_diffusers",
    "Flux dev": "flux_to_diffusers",
}


@pytest.mark.parametrize("name", KNOWN)
def test_every_layer_has_its_place_in_the_hosts_model(comfyui, name):
    model = host_model(name)
    found = places(family_of(pipelines.build(name)))
    theirs = {key.removesuffix(".weight") for key in model.diffusion_model.state_dict() if key.endswith(".weight")}
    # Older hosts call the weights of these norms their scale.
    norms = {place.layer for layer, place in found.items() if layer.endswith(NORMS)}
    assert {place.layer for place in found.values()} - norms == theirs - norms
    to_diffusers = getattr(comfy.utils, HOST_MAPS.get(name, ""), None)
    if to_diffusers is None:
        return
    known = to_diffusers(MODELS[name][1])
    for layer, place in found.items():
        host, *more = (
            known[f"{layer}.weight"] if isinstance(known[f"{layer}.weight"], tuple) else [known[f"{layer}.weight"]]
        )
        assert host == f"{place.layer}.weight" or layer.endswith(NORMS)
        _, start, rows = more[0] if more and more[0] else (0, 0, 1)
        # In units of its rows: the host takes the published sizes for granted.
        assert place.start / place.rows == start / rows
        assert place.swapped == (len(more) == 2)
