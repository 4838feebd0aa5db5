"""What `imagic.diffusers` saves is a LoRA and an edit to the host as well."""

import importlib
import logging
import shutil
from pathlib import Path

import comfy.lora
import comfy.sd
import comfy.supported_models
import comfy.utils
import numpy as np
import pytest
import torch
from PIL import Image

from demo import load
from imagic.adapters import LoRA
from imagic.diffusers import DiffusersDenoiser, EmbeddingSettings, TuningSettings, lora_names, tune
from tests.imagic import pipelines

from .ready import ready_to_train

TEXT = "a blue cat sitting on the grass"
# A photo, for of noise a tuned network draws something else at the slightest difference.
PHOTO = Image.open(Path(load.__file__).with_name("photo.png")).convert("RGB")
SHORT = EmbeddingSettings(steps=1, samples=1)


def unet(depths: list[int], **changes) -> dict:
    """A UNet's config as the host's detection gives it, of as many layers as the tiny pipelines' have."""
    return {
        "image_size": 32,
        "use_checkpoint": False,
        "use_spatial_transformer": True,
        "legacy": False,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 32,
        "num_res_blocks": [1, 1],
        "channel_mult": [1, 2],
        "num_heads": -1,
        "num_head_channels": 16,
        "transformer_depth": depths,
        "transformer_depth_output": [depth for depth in depths for _ in range(2)],
        "transformer_depth_middle": depths[-1],
        "use_linear_in_transformer": True,
        "context_dim": 16,
        "adm_in_channels": None,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        **changes,
    }


FLUX = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": 16,
    "context_in_dim": 32,
    "hidden_size": 32,
    "mlp_ratio": 4.0,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "txt_ids_dims": [],
}
SD3 = {
    "in_channels": 16,
    "patch_size": 2,
    "depth": 2,
    "num_blocks": 2,
    "input_size": None,
    "adm_in_channels": 32,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 32, "out_features": 128}},
    "num_patches": 256,
    "pos_embed_max_size": 16,
    "qk_norm": "rms",
    "x_block_self_attn_layers": [0],
}
QWEN = {
    "image_model": "qwen_image",
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 16,
    "axes_dims_rope": (4, 6, 6),
}
# Of the tiny pipelines: the host's class of models, and its config for as many layers.
MODELS = {
    "Stable Diffusion 1": ("SD15", unet([1, 1], use_linear_in_transformer=False)),
    "Stable Diffusion 2": ("SD20", unet([1, 1])),
    "SDXL": ("SDXL", unet([1, 2], adm_in_channels=2816, num_classes="sequential")),
    "SD3": ("SD3", SD3),
    "Flux dev": ("Flux", {**FLUX, "guidance_embed": True}),
    "Qwen-Image": ("QwenImage", QWEN),
}
KNOWN = [name for name, (kind, _) in MODELS.items() if hasattr(comfy.supported_models, kind)]


class Storage(dict):
    """A checkpoint whose tensors are empty; hosts look at a few to tell variants apart."""

    def __missing__(self, name: str) -> torch.Tensor:
        return torch.zeros(1)


def host_model(name: str, device: str = "meta"):
    """The host's model of a tiny pipeline's kind."""
    kind, config = MODELS[name]
    if kind == "Flux":
        # Its parameters are a fixed set, which has grown from host to host.
        known = importlib.import_module("comfy.ldm.flux.model").FluxParams.__dataclass_fields__
        config = {key: value for key, value in config.items() if key in known or key == "image_model"}
    host_config = getattr(comfy.supported_models, kind)({**config})
    return host_config.get_model(Storage(), prefix="model.diffusion_model.", device=torch.device(device))


@pytest.mark.parametrize("tune_mode", ["LoRA", "LoRA all layers"])
@pytest.mark.parametrize("name", KNOWN)
def test_the_hosts_lora_loader_knows_every_layer(comfyui, name, tune_mode, caplog):
    model = host_model(name)
    pipeline = pipelines.build(name)
    denoiser = DiffusersDenoiser(pipeline)
    lora = LoRA(denoiser.network, 4, 0, only_attention=tune_mode == "LoRA")
    named = lora_names.to_file(lora.state_dict(), denoiser.family.part)
    with caplog.at_level(logging.WARNING):
        patches = comfy.lora.load_lora(named, comfy.lora.model_lora_keys_unet(model, {}))
    assert "not loaded" not in caplog.text
    assert len(patches) == len(lora.layers)
    assert lora_names.from_file(named, denoiser.network, denoiser.family.part).keys() >= {
        key for key in lora.state_dict() if not key.endswith(".alpha")
    }


@pytest.fixture(scope="module", params=["LoRA", "LoRA all layers"])
def edit(request):
    """Of the demo model, with an update large enough to see."""
    tuning = TuningSettings(steps=1, samples=1, rank=4, tune=request.param)
    edit = tune(load.pipeline(), PHOTO, TEXT, embedding=SHORT, tuning=tuning)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in edit.update.items():
        if name.endswith(".lora_up.weight"):
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return edit


@pytest.mark.cpu
def test_the_host_computes_with_the_file_as_diffusers_does(studio, edit, tmp_path, caplog):
    edit.save(tmp_path / "hat.safetensors")
    with caplog.at_level(logging.WARNING), torch.inference_mode():
        lora = comfy.utils.load_torch_file(str(tmp_path / "hat.safetensors"), safe_load=True)
        tuned, _ = comfy.sd.load_lora_for_models(studio.model, None, lora, 1.0, 0.0)
    assert "not loaded" not in caplog.text

    noise = torch.randn(2, *edit.photo.shape[1:], generator=torch.Generator().manual_seed(0))
    with ready_to_train(studio, tuned, studio.latent["samples"], studio.target) as (host, _, text):
        denoiser = DiffusersDenoiser(edit.pipeline)
        sigma = denoiser.sigma(torch.tensor([0.3, 0.8]))
        noisy = denoiser.add_noise(edit.photo, noise, sigma)
        with torch.no_grad():
            theirs = host(noisy, sigma, text)
            base = denoiser(noisy, sigma, text)
            with LoRA.restored(denoiser.network, edit.update, torch.device("cpu")).attached():
                ours = denoiser(noisy, sigma, text)
    torch.testing.assert_close(theirs, ours, atol=1e-3, rtol=1e-3)
    assert (ours - base).abs().max() > 0.05


@pytest.fixture
def output(comfyui, tmp_path, monkeypatch):
    """Where the host looks for edits, in an output folder of the test's own."""
    monkeypatch.setattr(importlib.import_module("folder_paths"), "output_directory", str(tmp_path / "output"))
    (tmp_path / "output" / "imagic").mkdir(parents=True)
    return tmp_path / "output" / "imagic"


def test_load_imagic_edit_goes_on_with_it(studio, edit, output, caplog):
    edit.save(output / "hat.safetensors")
    with torch.inference_mode(), caplog.at_level(logging.WARNING):
        model, optimized, anchor, _, source = studio.nodes["ImagicLoadEdit"]().load(
            studio.model, "hat.safetensors", 1.0
        )
    assert "not loaded" not in caplog.text
    torch.testing.assert_close(optimized[0][0], edit.optimized["cross_attn"])
    torch.testing.assert_close(anchor[0][0], edit.anchor["cross_attn"])
    torch.testing.assert_close(anchor[0][0], studio.text(TEXT)[0][0], atol=1e-4, rtol=1e-4)
    assert source.shape == (1, 128, 128, 3)
    # The whole edit, drawn by the host's sampler and by diffusers'; over fewer steps their levels differ by more.
    latent = {"samples": studio.encode(torch.from_numpy(np.asarray(PHOTO).copy())[None] / 255)["samples"]}
    keeping, _ = studio.keep(model, latent, optimized, anchor, 0.4)
    conditioning = studio.interpolate(optimized, anchor, 1.2)[0]
    theirs = studio.decode(studio.sample(keeping, conditioning, steps=40, cfg=4.0, latent_image=latent))[0]
    ours = torch.from_numpy(np.asarray(edit.sample(eta=1.2, num_inference_steps=40)).copy()) / 255
    assert float((theirs.clamp(0, 1) - ours).square().mean()) < 1e-3
    assert float((studio.decode(latent)[0] - ours).square().mean()) > 1e-2


def test_load_imagic_edit_refuses_what_the_model_has_no_layers_for(studio, output, tmp_path):
    pipeline = pipelines.build("SDXL")
    tuning = TuningSettings(steps=1, samples=1, rank=4)
    tune(pipeline, PHOTO.resize((32, 32)), TEXT, embedding=SHORT, tuning=tuning).save(tmp_path / "x")
    shutil.move(tmp_path / "x", output / "x.safetensors")
    with (
        torch.inference_mode(),
        pytest.raises(ValueError, match="was tuned on StableDiffusionXLPipeline, a model of another kind"),
    ):
        studio.nodes["ImagicLoadEdit"]().load(studio.model, "x.safetensors", 1.0)
