"""An edit by any pipeline: learned, sampled, saved and loaded, and the pipeline none the worse for it."""

import functools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from PIL import Image
from safetensors import safe_open

from imagic import edit_file
from imagic.adapters import LoRA
from imagic.diffusers import EmbeddingSettings, ImagicEdit, TuningSettings, pictures, tune
from imagic.diffusers.families import family_of

from .pipelines import FAMILIES, build

TEXT, TARGET, SIZE = "a brown dog", "a blue cat in the snow", 32
STEPS = 2
EMBEDDING = EmbeddingSettings(steps=4, learning_rate=0.1)
TUNING = TuningSettings(steps=4, learning_rate=0.02, rank=4)
RAMP = np.linspace(0, 255, SIZE, dtype=np.uint8)
PHOTO = Image.fromarray(np.dstack(np.broadcast_arrays(RAMP, RAMP[:, None], np.uint8(128))))


def settings(first: int, second: int) -> dict:
    """Of so many steps in the two stages."""
    return {"embedding": EmbeddingSettings(steps=first), "tuning": TuningSettings(steps=second)}


@functools.cache
def learned(name: str) -> ImagicEdit:
    return tune(build(name), PHOTO, TEXT, embedding=EMBEDDING, tuning=TUNING)


@functools.cache
def sampled(name: str) -> Image.Image:
    return learned(name).sample(num_inference_steps=STEPS)


def difference(a: Image.Image, b: Image.Image) -> int:
    """Between pictures, at most, of 255."""
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max())


def state(pipeline) -> dict:
    """Every bit, flag and attribute that a run could leave changed."""
    found = {"scheduler": {name: str(value) for name, value in vars(pipeline.scheduler).items()}}
    for part, component in pipeline.components.items():
        if isinstance(component, torch.nn.Module):
            found[part] = component.training, component.dtype
            for name, weight in component.named_parameters():
                found[part, name] = id(weight), weight.requires_grad, weight.grad, weight.detach().view(-1).tolist()
            # transformers hangs hooks of its own into text encoders when they are first used.
            if not part.startswith("text_encoder"):
                hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in component.modules()]
                found[part, "hooks"] = hooks, ["forward" in vars(module) for module in component.modules()]
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_each_stage_lowers_the_validation_loss(name):
    first, second = learned(name).histories
    assert first.validation_after < first.validation_before
    assert second.validation_before == pytest.approx(first.validation_after, rel=1e-5)
    assert second.validation_after < second.validation_before
    edit = learned(name)
    assert all(not torch.equal(edit.optimized[key], edit.anchor[key]) for key in edit.anchor)


@pytest.mark.parametrize("name", FAMILIES)
def test_eta_zero_is_the_photo_and_a_larger_one_is_not(name):
    edit = learned(name)
    photo = pictures.decode(edit.pipeline, edit.photo)
    assert difference(edit.sample(eta=0, num_inference_steps=STEPS), photo) <= 1
    assert difference(sampled(name), photo) > 20


@pytest.mark.parametrize("name", FAMILIES)
def test_a_saved_edit_gives_the_same_picture_and_the_same_file(name, tmp_path):
    edit = learned(name)
    edit.save(tmp_path / "a.safetensors")
    again = ImagicEdit.load(tmp_path / "a.safetensors", build(name))
    assert difference(again.sample(num_inference_steps=STEPS), sampled(name)) == 0
    again.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("name", FAMILIES)
def test_load_lora_weights_takes_the_file_and_gives_the_tuned_network(name, tmp_path):
    edit, pipeline = learned(name), build(name)
    edit.save(tmp_path / "a.safetensors")
    arguments = []
    family = family_of(edit.pipeline)
    hook = family.network.register_forward_pre_hook(
        lambda _, args, kwargs: arguments.append((args, kwargs)), with_kwargs=True
    )
    edit.sample(num_inference_steps=STEPS)
    hook.remove()
    args, kwargs = arguments[-1]
    with torch.no_grad():
        base = family.network(*args, **kwargs).sample
        with LoRA.restored(family.network, edit.update, torch.device("cpu")).attached():
            ours = family.network(*args, **kwargs).sample
        pipeline.load_lora_weights(tmp_path / "a.safetensors")
        theirs = getattr(pipeline, family.part)(*args, **kwargs).sample
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)
    assert (ours - base).abs().max() > 0.01
    with pytest.raises(ValueError, match="has LoRAs beside its layers: call unload_lora_weights"):
        ImagicEdit.load(tmp_path / "a.safetensors", pipeline)


@pytest.mark.parametrize("name", ["SDXL", "Flux dev", "Qwen-Image"])
def test_the_pipeline_comes_out_as_it_went_in(name):
    pipeline = build(name)
    for number, weight in enumerate(family_of(pipeline).network.parameters()):
        weight.requires_grad_(number % 2 == 0)
    before = state(pipeline)

    def stop(step):
        if step.number == 2:
            raise KeyboardInterrupt

    with torch.inference_mode(), pytest.raises(KeyboardInterrupt):
        tune(pipeline, PHOTO, TEXT, **settings(1, 3), on_step=stop)
    assert state(pipeline) == before
    edit = tune(pipeline, PHOTO, TEXT, **settings(1, 1))
    edit.sample(num_inference_steps=STEPS)
    assert state(pipeline) == before


@pytest.mark.parametrize("name", ["SDXL", "SD3", "Flux dev", "Qwen-Image"])
def test_checkpointing_trains_the_same(name):
    pipeline, embedding = build(name), EmbeddingSettings(steps=1)
    plain, saved = (
        tune(
            pipeline,
            PHOTO,
            TEXT,
            embedding=embedding,
            tuning=replace(TUNING, steps=2, gradient_checkpointing=choice),
        ).update
        for choice in (False, True)
    )
    for key in plain:
        torch.testing.assert_close(plain[key], saved[key], rtol=1e-4, atol=1e-5)


def test_another_target_and_other_choices_give_other_pictures():
    edit, first = learned("Stable Diffusion 1"), sampled("Stable Diffusion 1")
    seeded = {"generator": torch.Generator().manual_seed(1)}
    others = {"prompt": TARGET}, {"negative_prompt": TARGET}, {"guidance_scale": 1.0}, {"threshold": 0.9}, {"eta": 0.5}
    for changes in (seeded, *others):
        assert difference(edit.sample(**{"num_inference_steps": STEPS, **changes}), first) > 1, changes
    region = edit.region()
    assert difference(edit.sample(num_inference_steps=STEPS, mask_image=region), first) == 0
    regions = [edit.region(text, threshold=0.9) for text in (None, TARGET)]  # of random weights all changes much
    assert not torch.equal(*regions)
    photo = pictures.decode(edit.pipeline, edit.photo)
    assert difference(edit.sample(num_inference_steps=STEPS, mask_image=torch.zeros_like(region)), photo) <= 1


def test_texts_of_unequal_length_are_interpolated():
    """Qwen-Image's are as long as they are."""
    edit = learned("Qwen-Image")
    photo = pictures.decode(edit.pipeline, edit.photo)
    assert difference(edit.sample(eta=0, prompt=TARGET, num_inference_steps=STEPS), photo) <= 1
    assert difference(edit.sample(prompt=TARGET, num_inference_steps=STEPS), sampled("Qwen-Image")) > 1


def test_distilled_guidance_reaches_the_network():
    assert (
        difference(learned("Flux dev").sample(num_inference_steps=STEPS, guidance_scale=10.0), sampled("Flux dev")) > 1
    )
    assert (
        difference(
            learned("Flux schnell").sample(num_inference_steps=STEPS, guidance_scale=10.0), sampled("Flux schnell")
        )
        == 0
    )


@pytest.mark.parametrize(
    ("own", "asked", "used"), [(None, None, 3.5), (1.0, None, 1.0), (None, 10.0, 10.0), (1.0, 10.0, 10.0)]
)
def test_a_region_is_found_at_the_guidance_of_the_picture(own, asked, used):
    edit, given = replace(learned("Flux dev"), guidance_scale=own), set()

    def note(_module, _args, kwargs):
        given.update(kwargs["guidance"].tolist())

    hook = edit.pipeline.transformer.register_forward_pre_hook(note, with_kwargs=True)
    try:
        edit.region(guidance_scale=asked)
        assert given == {used}
        edit.sample(num_inference_steps=1, guidance_scale=asked)
        assert given == {used}
    finally:
        hook.remove()


@pytest.mark.parametrize(("name", "dtype"), [("SDXL", torch.float16), ("SD3", torch.bfloat16)])
def test_half_precision_trains_in_full_and_near_full_precision(name, dtype):
    edit = tune(build(name).to(dtype), PHOTO, TEXT, embedding=EMBEDDING, tuning=TUNING)
    for ours, full in zip(edit.histories, learned(name).histories, strict=True):
        assert ours.validation_after < ours.validation_before
        assert ours.validation_after == pytest.approx(full.validation_after, rel=0.05)
    assert {tensor.dtype for tensor in (*edit.update.values(), *edit.optimized.values())} == {torch.float32}
    assert edit.pipeline.vae.dtype == dtype
    assert np.isfinite(np.asarray(edit.sample(num_inference_steps=STEPS))).all()


def test_the_file_is_for_the_same_model_only(tmp_path):
    edit, path = learned("Stable Diffusion 1"), tmp_path / "a.safetensors"
    edit.save(path)
    other = build("Stable Diffusion 1")
    with torch.no_grad():
        for weight in other.unet.parameters():
            weight.mul_(1.1)
    with pytest.warns(UserWarning, match="was tuned on StableDiffusionPipeline, and this is another model"):
        ImagicEdit.load(path, other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ImagicEdit.load(path, build("Stable Diffusion 1"))
    with pytest.raises(ValueError, match="was tuned on another kind of model, StableDiffusionPipeline: load that"):
        ImagicEdit.load(path, build("SDXL"))


def test_another_photo_or_one_of_another_shape_is_refused_and_one_that_was_rounded_is_not(tmp_path):
    edit, path = learned("Stable Diffusion 1"), tmp_path / "a.safetensors"
    edit.save(path)
    for size in ((320, 320), (36, 32)):
        again = ImagicEdit.load(path, edit.pipeline, PHOTO.resize(size))
        assert torch.equal(again.photo, edit.photo)
    for other in (PHOTO.transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.new("RGB", PHOTO.size, (90, 60, 200))):
        with pytest.raises(
            ValueError, match=r"^image is another photo than the one that a.safetensors was learned from"
        ):
            ImagicEdit.load(path, edit.pipeline, other)
    sentence = r"^image is 64 x 32, and a.safetensors was learned from 32 x 32 pixels, another shape: crop it as it was"
    with pytest.raises(ValueError, match=sentence):
        ImagicEdit.load(path, edit.pipeline, PHOTO.resize((64, 32)))


@pytest.mark.parametrize("name", ["SDXL", "SD3"])
def test_an_edit_of_a_network_whose_layers_wait_elsewhere_is_saved_and_loaded(name, tmp_path):
    """As `--offload sequential` leaves them. On a CPU accelerate cannot run such layers, so nothing is drawn here."""
    pipeline, edit = build(name), learned(name)
    network = cpu_offload(family_of(pipeline).network, torch.device("cpu"))
    assert all(weight.is_meta for weight in network.parameters())
    edit.save(tmp_path / "a.safetensors")
    replace(edit, pipeline=pipeline).save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ImagicEdit.load(tmp_path / "a.safetensors", pipeline)


def test_the_file_says_what_it_is(tmp_path):
    learned("SDXL").save(tmp_path / "a.safetensors")
    saved = edit_file.load(tmp_path / "a.safetensors")
    assert saved.about["text"] == TEXT
    assert saved.about["size"] == [SIZE, SIZE]
    assert saved.preview.shape == (SIZE, SIZE, 3)
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert all(name.startswith("lora_unet_") for name in file.keys())  # noqa: SIM118 - it is no dict


def test_a_lora_of_another_network_is_refused():
    with pytest.raises(ValueError, match=r"^The LoRA does not fit this model at .*: load the model .*\.$"):
        LoRA.restored(build("SDXL").unet, learned("Stable Diffusion 1").update, torch.device("cpu"))


def test_a_file_with_the_lora_of_another_network_is_refused_as_it_is_loaded(tmp_path):
    path = tmp_path / "a.safetensors"
    learned("Stable Diffusion 1").save(path)
    saved = edit_file.load(path)
    saved.update = {
        name: tensor[:1] if name.endswith(".lora_up.weight") else tensor for name, tensor in saved.update.items()
    }
    edit_file.save(saved, path, as_lora=True)
    with pytest.raises(ValueError, match=r"^The LoRA does not fit this model at .*: load the model .*\.$"):
        ImagicEdit.load(path, build("Stable Diffusion 1"))
