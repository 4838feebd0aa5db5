"""A checkpoint of one file, as they are shared, of random weights; nothing is asked of the hub."""

import logging
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from imagic.cli import main
from imagic.diffusers import instant, load_pipeline, loading
from imagic.diffusers.families import family_of

from .pipelines import build, unet
from .test_host_edit import host_weights

# The names of the original autoencoder, in place of diffusers'.
VAE = {
    r"down_blocks\.(\d+)\.resnets": r"down.\1.block",
    r"down_blocks\.(\d+)\.downsamplers\.0": r"down.\1.downsample",
    r"up_blocks\.0\.resnets": "up.1.block",
    r"up_blocks\.1\.resnets": "up.0.block",
    r"up_blocks\.0\.upsamplers\.0": "up.1.upsample",
    r"mid_block\.resnets\.0": "mid.block_1",
    r"mid_block\.resnets\.1": "mid.block_2",
    r"mid_block\.attentions\.0": "mid.attn_1",
    r"group_norm": "norm",
    r"to_out\.0": "proj_out",
    r"to_([qkv])": r"\1",
    r"conv_norm_out": "norm_out",
    r"conv_shortcut": "nin_shortcut",
}


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def pipeline():
    """Its weights in model.safetensors, as Stable Diffusion 1.5 is shared, its configuration in a folder."""
    pipeline = build("Stable Diffusion 1")
    weights = {f"model.diffusion_model.{name}": tensor for name, tensor in host_weights(family_of(pipeline)).items()}
    for name, tensor in pipeline.text_encoder.state_dict().items():
        weights[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    for name, tensor in pipeline.vae.state_dict().items():
        for ours, theirs in VAE.items():
            name = re.sub(ours, theirs, name)
        weights[f"first_stage_model.{name}"] = tensor
    save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, "model.safetensors")
    pipeline.save_pretrained("folder")
    for path in Path("folder").rglob("*.safetensors"):
        path.unlink()
    return pipeline


def test_a_checkpoint_of_one_file_needs_only_a_folder_of_its_kind(pipeline):
    loaded = load_pipeline("model.safetensors", config="folder")
    for part in ("unet", "vae", "text_encoder"):
        expected = getattr(pipeline, part).state_dict()
        for name, tensor in getattr(loaded, part).state_dict().items():
            assert torch.equal(tensor, expected[name]), f"{part} {name}"
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    first, second = (instant(one, photo, "ab").sample(prompt="cd", num_inference_steps=1) for one in (pipeline, loaded))
    assert np.array_equal(first, second)
    photo.save("photo.png")
    command = "edit", "photo.png", "cd", "--instant", "ab", "--num-inference-steps", "1", "--model", "model.safetensors"
    assert main([*command, "--config", "folder", "-o", "edit.png"]) == 0


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (None, "model.safetensors has no tokenizer and no sizes of its parts, and the Hugging Face hub does not give "),
        ("none", "config is 'none', no diffusers folder: name one that has model_index.json."),
        (
            "other",
            "config is 'other', a folder of StableDiffusionXLPipeline, and model.safetensors is a checkpoint",
        ),
        ("wide", "model.safetensors does not fit 'wide': "),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(pipeline, config, sentence):
    build("SDXL").save_pretrained("other")
    pipeline.register_modules(unet=unet(cross_attention_dim=24))
    pipeline.save_pretrained("wide")
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        load_pipeline("model.safetensors", config=config)


def test_a_file_with_the_network_alone_is_no_model(pipeline):
    weights = load_file("model.safetensors")
    save_file({name: tensor for name, tensor in weights.items() if "diffusion_model" in name}, "part.safetensors")
    with pytest.raises(ValueError, match=r"^part.safetensors is no whole checkpoint, with text encoder and auto"):
        load_pipeline("part.safetensors", config="folder")


class Code:
    """Unpickled as pickles are, it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("run",)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *((f"{part}.safetensors", b"damaged") for part in ("unet/diffusion_pytorch_model", "text_encoder/model")),
        *(("model_index.json", content) for content in (b"[]", b"null", b"{}", b'{"_class_name": 3}')),
        *((f"{part}/config.json", b"null") for part in ("unet", "text_encoder", "vae")),
        ("unet/diffusion_pytorch_model.bin", pickle.dumps(Code(), 2)),
        ("text_encoder/pytorch_model.bin", pickle.dumps(Code(), 2)),
    ],
)
def test_a_folder_that_is_damaged_is_told_and_no_code_in_it_is_run(file, content):
    build("Stable Diffusion 1").save_pretrained("model")
    path = Path("model", file)
    if path.suffix == ".bin":  # which is read only where there is nothing better
        (weights,) = path.parent.glob("*.safetensors")
        path.write_bytes(content)
        load_pipeline("model")
        weights.unlink()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^The model in 'model' cannot be loaded: .*\.$"):
        load_pipeline("model")
    assert not Path("run").exists()


@pytest.mark.parametrize("device", ["foo", "meta", "hpu", "cuda:99", "cpu:x", ""])
@pytest.mark.parametrize("gpu", [False, True])
def test_a_device_that_is_not_here_is_refused_with_those_that_are_before_a_model_is_looked_for(
    device, gpu, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: gpu)
    here = "auto, cuda, mps or cpu" if gpu else "auto or cpu"
    with pytest.raises(
        ValueError, match=rf"^device is '{device}', which this machine does not have: set it to {here}\.$"
    ):
        load_pipeline("nothing", device=device)


def test_the_demo_model_in_16_bits_makes_diffusers_say_nothing():
    """As it is on every GPU. Of a model that is cast afterwards diffusers tells parts to be kept in float32: none."""
    logger, said = logging.getLogger("diffusers.models.modeling_utils"), []
    handler = logging.Handler()
    handler.emit = said.append
    logger.addHandler(handler)
    try:
        pipeline = load_pipeline("demo", device="cpu", dtype="bfloat16")
    finally:
        logger.removeHandler(handler)
    parts = pipeline.unet, pipeline.vae, pipeline.text_encoder
    assert {weight.dtype for part in parts for weight in part.parameters()} == {torch.bfloat16}
    assert not said


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), torch.float16), ((8, 6), torch.bfloat16)])
def test_gpus_that_only_emulate_bfloat16_get_float16(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)  # as PyTorch counts them
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert loading._dtype("auto", torch.device("cuda", 1)) == dtype


def test_why_the_hub_gives_no_model_is_said(monkeypatch):
    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(loading.DiffusionPipeline, "from_pretrained", full)
    with pytest.raises(ValueError, match=r"hub does not give one \(No space left on device\)\. Check its name"):
        load_pipeline("somebody/model", device="cpu")
