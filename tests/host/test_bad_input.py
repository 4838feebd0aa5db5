"""Whatever is wired in wrong is refused in one sentence, before any work."""

import pytest
import torch

TOKENS = torch.zeros(1, 77, 128)


def latents(studio):
    good = studio.latent["samples"]
    return {
        "nothing": ({}, "VAE Encode"),
        "no tensor": ({"samples": None}, "VAE Encode"),
        "audio": ({"samples": torch.zeros(1, 64, 1024)}, "VAE Encode"),
        "several photos": ({"samples": good.repeat(2, 1, 1, 1)}, "one at a time"),
        "another model's": ({"samples": torch.zeros(1, 16, 16, 16)}, "16 channels but the model works on 4"),
        "masked": ({"samples": good, "noise_mask": torch.ones(1, 1, 16, 16)}, "carries a mask"),
        "NaN": ({"samples": torch.full((1, 4, 16, 16), float("nan"))}, "NaN"),
    }


CONDITIONINGS = {
    "empty": ([], "is empty"),
    "no tokens": ([[None, {}]], "is empty"),
    "zero tokens": ([[torch.zeros(1, 0, 128), {}]], "is empty"),
    "audio": ([[torch.zeros(1, 128, 4, 4), {}]], "not tokens of a text"),
    "several": ([[TOKENS, {}], [TOKENS, {}]], "has 2 entries"),
    "a batch": ([[TOKENS.repeat(3, 1, 1), {}]], "holds 3 texts"),
    "area": ([[TOKENS, {"area": (8, 8, 0, 0)}]], "carries an area"),
    "mask": ([[TOKENS, {"mask": torch.ones(1, 16, 16)}]], "carries a mask"),
    "control": ([[TOKENS, {"control": object()}]], "carries a ControlNet"),
    "timesteps": ([[TOKENS, {"start_percent": 0.0, "end_percent": 0.5}]], "carries a timestep range"),
    "NaN": ([[TOKENS * float("nan"), {}]], "NaN"),
}

NUMBERS = {
    "optimize": [("steps", 0), ("steps", 10**6), ("samples", 0), ("learning_rate", 0.0), ("learning_rate", 5.0)],
    "tune": [("steps", 0), ("samples", 65), ("rank", 0), ("rank", 10**4), ("learning_rate", -1.0)],
}


@pytest.fixture
def refused(studio, monkeypatch):
    """Calls a stage and returns its complaint; any work done is a failure."""
    monkeypatch.setattr(
        studio.module("nodes.host.versions").comfy.model_management,
        "load_models_gpu",
        lambda *_, **__: pytest.fail("the model was loaded before the input was checked"),
    )

    def call(stage, **changes):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - each test matches its own sentence
            getattr(studio, stage)(**changes)
        sentence = str(error.value)
        assert "\n" not in sentence
        assert sentence.endswith(".")
        return sentence

    return call


@pytest.mark.parametrize("stage", ["optimize", "tune"])
@pytest.mark.parametrize(
    "case", ["nothing", "no tensor", "audio", "several photos", "another model's", "masked", "NaN"]
)
def test_latents(studio, refused, stage, case):
    latent, message = latents(studio)[case]
    assert message in refused(stage, latent=latent)


@pytest.mark.parametrize("stage", ["optimize", "tune"])
@pytest.mark.parametrize("case", CONDITIONINGS)
def test_conditionings(refused, stage, case):
    conditioning, message = CONDITIONINGS[case]
    assert message in refused(stage, conditioning=conditioning)


@pytest.mark.parametrize(("stage", "name", "value"), [(s, n, v) for s, cases in NUMBERS.items() for n, v in cases])
def test_numbers_out_of_range(refused, stage, name, value):
    assert f"{name} is {value:g}: set it between" in refused(stage, **{name: value})


@pytest.mark.parametrize("stage", ["optimize", "tune"])
def test_inpainting_models(studio, refused, monkeypatch, stage):
    monkeypatch.setattr(studio.model.model, "concat_keys", ("mask", "masked_image"), raising=False)
    assert "inpainting model" in refused(stage)


def test_unknown_choice_of_what_to_tune(refused):
    message = refused("tune", tune="everything", learning_rate=1e-4)
    assert "choose one of LoRA, LoRA all layers, attention, all weights" in message


@pytest.mark.parametrize("stage", ["optimize", "tune"])
def test_unknown_schedules(refused, stage):
    assert "schedule is 'linear': choose one of cosine, constant" in refused(stage, schedule="linear")


@pytest.fixture
def broken(studio):
    """The demo model with a weight that has become NaN, as a bad merge leaves it."""
    with torch.inference_mode():
        model = studio.nodes["ImagicDemoCheckpoint"]().load()[0]
        model.model.diffusion_model.out[2].bias.fill_(float("nan"))
    return model


def test_a_model_that_gives_nan_is_named_by_the_first_node_that_asks_it(studio, broken):
    for stage in (studio.optimize, studio.tune):
        with pytest.raises(ValueError, match="NaN or infinite at step 1"):
            stage(model=broken)
    with pytest.raises(ValueError, match=r"^What the model predicts for this photo holds NaN or .* fp32 or bf16\.$"):
        studio.keep(broken, studio.latent, studio.target, studio.negative, 0.4)
    photo = studio.decode(studio.latent)
    inputs = {"model": [broken], "vae": [studio.vae], "source": [photo], "images": [photo, photo], "eta": [0.0, 1.0]}
    inputs |= {"optimized": [studio.negative], "target": [studio.target], "samples": [2]}
    sentence = r"^The pictures' alignment .* NaN or infinite values: run the model in fp32"
    with torch.inference_mode(), pytest.raises(ValueError, match=sentence):
        studio.nodes["ImagicPickEdit"]().pick(**inputs)


@pytest.mark.parametrize("mask", [torch.full((1, 128, 128), float("nan")), torch.eye(128)[None] / 0])
def test_a_painted_mask_with_nan(studio, mask):
    node = studio.nodes["ImagicKeepPhoto"]()
    with pytest.raises(ValueError, match=r"^The region holds NaN or infinite values: paint or make it again\.$"):
        node.keep(studio.model, studio.latent, studio.target, studio.negative, 0.4, mask)


def test_keep_photo_says_which_text_is_not_one(studio):
    (tokens, extras), region = studio.target[0], torch.ones(1, 128, 128)
    with torch.inference_mode(), pytest.raises(ValueError, match=r"^The target conditioning carries a ControlNet"):
        studio.nodes["ImagicKeepPhoto"]().keep(
            studio.model, studio.latent, studio.target, [[tokens, {**extras, "control": object()}]], 0.4, region=region
        )
