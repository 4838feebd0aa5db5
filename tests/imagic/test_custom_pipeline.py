"""Who uses the community's pipeline for Imagic changes one line."""

import inspect

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline, StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from imagic.diffusers import CUSTOM_PIPELINE, CUSTOM_PIPELINE_XL, ImagicEdit, ImagicStableDiffusionPipeline

from .pipelines import BETAS, build
from .test_diffusers_edit import PHOTO, SIZE, TARGET, difference

SHORT = {"text_embedding_optimization_steps": 2, "model_fine_tuning_optimization_steps": 2}


def loaded(name: str, custom_pipeline: str, folder, **options) -> DiffusionPipeline:
    """A tiny pipeline through diffusers' own loader, which runs a copy of our file."""
    build(name).save_pretrained(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(folder / "modules"))
        pipeline = DiffusionPipeline.from_pretrained(
            folder / "model", custom_pipeline=custom_pipeline, trust_remote_code=True, **options
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    scheduler = DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False)
    options = {"safety_checker": None, "scheduler": scheduler}
    pipe = loaded("Stable Diffusion 1", CUSTOM_PIPELINE, tmp_path_factory.mktemp("sd"), **options)
    pipe.train(TARGET, image=PHOTO, generator=torch.Generator("cpu").manual_seed(0), **SHORT)
    return pipe


def test_train_then_call(pipe):
    assert type(pipe).__name__ == "ImagicStableDiffusionPipeline"
    assert isinstance(pipe, StableDiffusionPipeline)
    result = pipe(alpha=1, guidance_scale=7.5, num_inference_steps=3)
    assert result.images[0].size == (SIZE, SIZE)
    assert result.nsfw_content_detected is None
    expected = pipe.edit.sample(1, guidance_scale=7.5, num_inference_steps=3)
    assert difference(result.images[0], expected) == 0
    assert difference(pipe(alpha=0, num_inference_steps=3).images[0], result.images[0]) > 1


def test_no_weight_is_changed_and_the_edit_can_be_kept(pipe, tmp_path):
    plain = build("Stable Diffusion 1")
    ours = pipe.unet.state_dict()
    assert all(torch.equal(ours[name], weight) for name, weight in plain.unet.state_dict().items())
    pipe.edit.save(tmp_path / "edit.safetensors")
    again = ImagicEdit.load(tmp_path / "edit.safetensors", plain).sample(num_inference_steps=3)
    assert difference(again, pipe(num_inference_steps=3).images[0]) == 0


@pytest.mark.parametrize(("output_type", "shape"), [("np", (1, SIZE, SIZE, 3)), ("pt", (1, 3, SIZE, SIZE))])
def test_arrays_and_tensors_are_batches_of_one(pipe, output_type, shape):
    images, _ = pipe(num_inference_steps=2, output_type=output_type, return_dict=False)
    assert tuple(images.shape) == shape
    picture = np.asarray(pipe(num_inference_steps=2).images[0]) / 255
    ours = images[0] if output_type == "np" else images[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, picture, atol=0.51 / 255)


def test_a_size_is_what_the_photo_is_scaled_to(tmp_path):
    pipe = loaded("SDXL", CUSTOM_PIPELINE_XL, tmp_path)
    pipe.train(TARGET, PHOTO, height=16, width=24, **SHORT)
    assert pipe(height=16, width=24, num_inference_steps=2).images[0].size == (24, 16)
    with pytest.raises(ValueError, match=r"^height is 32, and the photo was trained at 16: omit it\.$"):
        pipe(height=32)


def test_what_cannot_be_is_said(pipe):
    empty = ImagicStableDiffusionPipeline(**pipe.components, requires_safety_checker=False)
    with pytest.raises(ValueError, match=r"^Nothing is trained yet: call train\(prompt, image\) first\.$"):
        empty()
    with pytest.raises(ValueError, match=r"^eta is 1: leave it at 0, for the sampler is deterministic\.$"):
        pipe(eta=1)
    with pytest.raises(ValueError, match=r"^text_embedding_optimization_steps is 0: set it between 1 and 10000\.$"):
        pipe.train(TARGET, PHOTO, text_embedding_optimization_steps=0)
    with pytest.warns(UserWarning, match="diffusion_model_learning_rate is ignored: set the learning_rate of"):
        empty.train(TARGET, PHOTO, diffusion_model_learning_rate=2e-6, **SHORT)


def test_the_arguments_are_the_communitys_in_its_order():
    """Of examples/community/imagic_stable_diffusion.py; they can be given by position."""
    train = "self prompt image height width generator embedding_learning_rate diffusion_model_learning_rate"
    train += " text_embedding_optimization_steps model_fine_tuning_optimization_steps"
    call = "self alpha height width num_inference_steps generator output_type return_dict guidance_scale eta"
    for method, names in ((ImagicStableDiffusionPipeline.train, train), (ImagicStableDiffusionPipeline.__call__, call)):
        assert list(inspect.signature(method).parameters)[: len(names.split())] == names.split()


def test_a_safety_checker_is_asked(pipe):
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    size = {"image_size": 32, "patch_size": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=tiny, vision_config=tiny | size, projection_dim=8))
    crop = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    parts = {**pipe.components, "safety_checker": checker.eval(), "feature_extractor": crop}
    checked = ImagicStableDiffusionPipeline(**parts)
    checked.set_progress_bar_config(disable=True)
    checked.edit = pipe.edit
    for threshold, expected in ((1, False), (-1, True)):
        checker.concept_embeds_weights.data.fill_(threshold)
        result = checked(num_inference_steps=2)
        assert result.nsfw_content_detected == [expected]
        assert bool(np.asarray(result.images[0]).any()) is not expected
