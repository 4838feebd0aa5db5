"""LEDITS++ and SDEdit as diffusers ships them: on the same weights, by seed, and they give the pipeline back."""

import json
from copy import deepcopy

import accelerate
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor

from imagic.bench import report
from imagic.cli import main
from imagic.diffusers import load_pipeline
from imagic.diffusers.peers import PeerEdit, make
from tests.imagic import pipelines

from . import miniatures

BOTH = "Stable Diffusion 1", "Stable Diffusion 2", "SDXL"
CASES = [("ledits", family) for family in BOTH] + [("sdedit", family) for family in pipelines.FAMILIES]


def build(family: str) -> DiffusionPipeline:
    """As `pipelines.build`; UNets have attention at a quarter of the latent's size, where LEDITS++ looks for it."""
    pipeline = pipelines.build(family)
    if getattr(pipeline, "unet", None):
        levels = 3
        changes = {"block_out_channels": (16, 16, 32), "attention_head_dim": (2, 2, 4)}
        changes |= {"down_block_types": ["CrossAttnDownBlock2D"] * levels}
        changes |= {"up_block_types": ["CrossAttnUpBlock2D"] * levels, "transformer_layers_per_block": 1}
        torch.manual_seed(0)
        pipeline.register_modules(unet=UNet2DConditionModel.from_config(pipeline.unet.config, **changes).eval())
    return pipeline


def photo(width: int = 40, height: int = 32) -> Image.Image:
    small = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def draw(edit: PeerEdit, seed: int = 0, steps: int = 2, prompt: str | None = None) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    return edit.sample(1.2, prompt=prompt, num_inference_steps=steps, generator=generator, guidance_scale=None)


def state(pipeline: DiffusionPipeline) -> dict:
    """All that a method could leave changed."""
    parts = {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
    weights = {name: {key: value.clone() for key, value in part.state_dict().items()} for name, part in parts.items()}
    network = getattr(pipeline, "unet", None) or pipeline.transformer
    return {
        "weights": weights,
        "types": {name: part.dtype for name, part in parts.items()},
        "configs": deepcopy({name: dict(part.config) for name, part in parts.items() if "text" not in name}),
        "attention": dict(network.attn_processors),
        "scheduler": repr(vars(pipeline.scheduler)),
        "parts": {name: id(part) for name, part in pipeline.components.items()},
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()],
    }


@pytest.mark.parametrize(("name", "family"), CASES)
def test_a_peer_draws_by_seed_and_gives_the_pipeline_back(name, family):
    pipeline = build(family)
    before = state(pipeline)
    edit = PeerEdit(name, pipeline, photo(), "a dog", "a cat")
    first, again = draw(edit), draw(edit)
    assert first.size == (40, 32)
    assert np.asarray(first).std() > 1
    assert first.tobytes() == again.tobytes()
    after = state(pipeline)
    weights, same = before.pop("weights"), after.pop("weights")
    assert all(torch.equal(value, same[part][key]) for part in weights for key, value in weights[part].items())
    assert before == after


def test_what_decides_the_picture():
    edit = PeerEdit("sdedit", pipelines.build("SDXL"), photo(), "a dog")
    pictures = [draw(edit), draw(edit, seed=1), draw(edit, prompt="a hat"), draw(edit, steps=8)]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert draw(edit, steps=1).tobytes() == pictures[0].tobytes()  # one step is three quarters of two


def test_ledits_leads_away_from_the_caption():
    pipeline = build("Stable Diffusion 1")
    with_it, without = (draw(PeerEdit("ledits", pipeline, photo(), "a dog", text)) for text in ("a cat", ""))
    assert with_it.tobytes() != without.tobytes()


@pytest.mark.parametrize("name", ["ledits", "sdedit"])
def test_no_safety_checker_blackens_a_picture(name):
    pipeline = pipelines.build("Stable Diffusion 1")
    tiny = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=tiny, vision_config=tiny, projection_dim=8))
    parts = {**pipeline.components, "safety_checker": checker, "feature_extractor": CLIPImageProcessor()}
    pipeline = type(pipeline)(**parts)
    assert make(name, pipeline).safety_checker is None
    assert pipeline.safety_checker is checker


def half_precision() -> DiffusionPipeline:
    return pipelines.build("SDXL").to(torch.float16)


def offloaded() -> DiffusionPipeline:
    pipeline = pipelines.build("Stable Diffusion 1")
    for part in (pipeline.vae, pipeline.unet, pipeline.text_encoder):
        accelerate.cpu_offload(part, execution_device=torch.device("cpu"))
    return pipeline


def without_image_to_image() -> DiffusionPipeline:
    class OwnPipeline(type(pipelines.build("SD3"))):
        pass

    return OwnPipeline(**pipelines.build("SD3").components)


@pytest.mark.parametrize(
    ("name", "pipeline", "reason"),
    [
        ("ledits", lambda: load_pipeline("demo", device="cpu"), "this pipeline has AutoencoderTiny"),
        ("ledits", lambda: pipelines.build("Flux dev"), "this is FluxPipeline"),
        ("ledits", half_precision, "set --dtype to bfloat16"),
        ("ledits", offloaded, "run it without --offload"),
        ("sdedit", without_image_to_image, "no image-to-image pipeline for OwnPipeline"),
    ],
)
def test_a_peer_that_cannot_run_says_why(name, pipeline, reason):
    with pytest.raises(ValueError, match=reason):
        make(name, pipeline())


def bench(folder, output, *options: str) -> int:
    command = ["bench", "piebench", "--data", str(folder), "-o", str(output), "--size", "32"]
    short = ["--num-inference-steps", "1", "--embedding-steps", "1", "--tuning-steps", "1", "--pairs", "1"]
    return main([*command, *short, *options])


def test_peers_are_in_the_report(tmp_path):
    build("Stable Diffusion 1").save_pretrained(tmp_path / "model")
    folder, output = miniatures.piebench(tmp_path), tmp_path / "out"
    assert bench(folder, output, "--model", str(tmp_path / "model"), "--methods", "instant", "ledits", "sdedit") == 0
    content = json.loads((output / "results.json").read_text())
    assert list(content["summary"]) == ["instant", "ledits", "sdedit"]
    for figures in content["summary"].values():
        assert figures["psnr_outside"]["pairs"] == figures["seconds"]["pairs"] == 1
    text = (output / "RESULTS.md").read_text()
    assert "\n| ledits | 1 |" in text
    assert "\n| sdedit | 1 |" in text
    assert "\n- sdedit: SDEdit (arXiv 2108.01073): diffusers' image-to-image pipeline at strength 0.75.\n" in text
    with Image.open(output / "sheet-1.jpg") as sheet:
        assert sheet.width == 4 * report.SIDE
    with Image.open(output / "ledits" / "011000000000.png") as picture:
        assert picture.size == (32, 32)
    row = json.loads((output / "ledits" / "manifest.jsonl").read_text())
    assert (row["sentence"], row["caption"]) == ("a blue dog", "a brown dog")


def test_where_no_method_runs_the_reason_is_the_error(tmp_path, capsys):
    folder = miniatures.piebench(tmp_path)
    assert bench(folder, tmp_path / "out", "--model", "demo", "--methods", "ledits") == 1
    assert capsys.readouterr().err.startswith("imagic: LEDITS++ needs an AutoencoderKL")
    assert not (tmp_path / "out" / "RESULTS.md").exists()
