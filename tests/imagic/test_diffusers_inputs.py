"""Whatever a caller gives `imagic.diffusers` ends in one sentence of ours or in a picture of finite numbers."""

import inspect
import random
import re
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imagic import TUNE_MODES, fine_tune, optimize_embedding
from imagic.diffusers import EmbeddingSettings, ImagicEdit, TuningSettings, instant, tune
from imagic.diffusers.images import OUTPUT_TYPES

from .pipelines import build

NAN, INF = float("nan"), float("inf")
INTERNAL = re.compile(r"\w+Error\b|object at 0x|must match")
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
ANYTHING = [None, "", "text", b"x", 3, -1, 2**70, 10**400, 0.5, NAN, INF, True, [], {}, (), object(), np.float32(NAN)]
ANYTHING += [
    torch.zeros(0),
    torch.zeros(5, 2, 2),
    torch.tensor(NAN),
    ["a", "b"],
    {"steps": 1},
    Path("nowhere/a"),
    PHOTO,
]
ENDS = [-2.0, 3, 3.0001, -2.1, 0, 0.95, 0.96, 1e300, 1.5]
REGION = torch.ones(1, 1, 8, 8)
REGIONS = [REGION[0], REGION * NAN, REGION * 2, -REGION, REGION[..., :4], REGION.bool(), REGION.long(), REGION * 0]
EMBEDDING = {"steps": 1, "learning_rate": 0.01, "schedule": "cosine", "samples": 1}
EMBEDDING |= {"gradient_checkpointing": False, "seed": 0}
TUNING = {**EMBEDDING, "tune": "LoRA", "rank": 1}
PHOTOS = [PHOTO.convert(mode) for mode in ("L", "1", "CMYK", "RGBA", "LA", "P", "I", "F")]
NUMBERS = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
PHOTOS += [NUMBERS, NUMBERS[None], NUMBERS.half(), NUMBERS * 2, NUMBERS - 1, NUMBERS * NAN, NUMBERS[:2], NUMBERS > 0.5]
PHOTOS += [np.asarray(PHOTO) / 255, np.asarray(PHOTO)[None], np.asarray(PHOTO)[..., 0], np.asarray(PHOTO)[:, :, :2]]
PHOTOS += ["photo.jpg", np.asarray(PHOTO), PHOTO.resize((1, 1)), Image.fromarray(np.full((16, 16), NAN, np.float32))]


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Each function with arguments that work, and what else may be given for each."""
    pipeline, folder = build("Stable Diffusion 1"), tmp_path_factory.mktemp("edits")
    short = {"embedding": EmbeddingSettings(**EMBEDDING), "tuning": TuningSettings(**TUNING)}
    edit = tune(pipeline, PHOTO, "a dog", **short)
    edit.save(folder / "good.safetensors")
    (folder / "text.safetensors").write_text("no edit")
    paths = [folder, folder / "nowhere" / "a", folder / "text.safetensors", folder / "none.safetensors", "a\0b"]
    learn = {"pipeline": pipeline, "image": PHOTO, "prompt": "a dog", **short, "generator": None}
    learn |= {"on_step": lambda step: None}
    draw = {"eta": 1.0, "prompt": None, "negative_prompt": None, "num_inference_steps": 1, "guidance_scale": 1.0}
    draw |= {"generator": None, "threshold": 0.4, "mask_image": REGION, "output_type": "pil"}
    draw |= {"callback_on_step_end": None}
    find = {"prompt": None, "threshold": 0.4}
    pipelines = [pipeline.unet, pipeline.vae]
    return [
        (
            tune,
            learn,
            {"image": PHOTOS, "embedding": [TuningSettings()], "tuning": [EmbeddingSettings()], "pipeline": pipelines},
        ),
        (instant, {"pipeline": pipeline, "image": PHOTO, "caption": "a dog"}, {"image": PHOTOS, "pipeline": pipelines}),
        (EmbeddingSettings, EMBEDDING, {"learning_rate": [2.0], "steps": [0]}),
        (TuningSettings, TUNING, {"learning_rate": [2.0], "steps": [0], "tune": TUNE_MODES}),
        (
            edit.sample,
            draw,
            {
                "mask_image": [*REGIONS, *PHOTOS],
                "output_type": [*OUTPUT_TYPES, "numpy"],
                "callback_on_step_end": [lambda *_: None, lambda *_: {}],
                **dict.fromkeys(("eta", "guidance_scale", "threshold", "num_inference_steps"), ENDS),
            },
        ),
        (edit.region, find, {"threshold": ENDS}),
        (edit.save, {"path": folder / "a.safetensors"}, {"path": paths}),
        (ImagicEdit.load, {"path": folder / "good.safetensors", "pipeline": pipeline}, {"path": paths}),
    ]


def sample(calls):
    return next(function for function, *_ in calls if function.__name__ == "sample")


def cases(calls):
    draw = random.Random(0)
    for function, good, near in calls:
        pools = {name: [*near.get(name, []), *ANYTHING] for name in good}
        for name, values in pools.items():
            yield from ((function, {**good, name: value}) for value in values)
        for _ in range(20):
            chosen = draw.sample(sorted(pools), min(2, len(pools)))
            yield function, {**good, **{name: draw.choice(pools[name]) for name in chosen}}


def finite(answer) -> bool:
    if isinstance(answer, torch.Tensor | np.ndarray):
        return bool(np.isfinite(np.asarray(answer)).all())
    return not isinstance(answer, ImagicEdit) or all(map(finite, (answer.photo, *answer.update.values())))


def test_every_input_ends_in_a_sentence_or_in_finite_numbers(calls, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # "text" is a path, too
    count, wrong = 0, []
    for function, arguments in cases(calls):
        count += 1
        try:
            if not finite(function(**arguments)):
                wrong.append((function, arguments, "not finite"))
        except ValueError as error:
            words = str(error)
            if "\n" in words or not words.endswith(".") or INTERNAL.search(words) or len(words) > 400:
                wrong.append((function, arguments, error))
        except Exception as error:
            wrong.append((function, arguments, error))
    print(f"{count} inputs")
    assert count > 600
    assert not wrong, "\n".join(
        f"{function.__name__} {arguments}: {error!r:.300}" for function, arguments, error in wrong
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"eta": NAN}, r"^eta is nan: set it between -2 and 3\.$"),
        ({"guidance_scale": "4"}, r"^guidance_scale is '4': set it to a number between 0 and 100\.$"),
        ({"prompt": ["a", "b"]}, r"^prompt is of type list: give it a text\.$"),
        ({"num_inference_steps": 2.5}, r"^num_inference_steps is 2\.5: set it to a whole number between 1 and 1000\.$"),
        ({"mask_image": REGION[0, 0, 0]}, r"^mask_image has the shape \[8\]: give it one picture, \[3, H, W\]\.$"),
        ({"mask_image": 0.5}, r"^mask_image is 0\.5: give it a PIL picture, an array or a tensor\.$"),
        ({"output_type": "jpg"}, r"^output_type is 'jpg': choose one of pil, np, pt, latent\.$"),
        ({"generator": 3}, r"^generator is 3: give it torch\.Generator\(\)\.manual_seed\(0\), say\.$"),
    ],
)
def test_what_is_wrong_is_named(calls, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        sample(calls)(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": "photo.jpg"}, r"^image is 'photo\.jpg': give it a PIL picture, an array or a tensor\.$"),
        ({"image": NUMBERS * 2}, r"^image holds numbers outside of 0 to 1: scale them, or give it as uint8\.$"),
        ({"tuning": {"steps": 1}}, r"^tuning is of type dict: give it TuningSettings\(steps=40\), say\.$"),
        ({"on_step": 3}, r"^on_step is 3: give it a function\.$"),
    ],
)
def test_what_is_wrong_is_named_before_any_training(calls, changes, sentence, monkeypatch):
    function, good, _ = calls[0]
    monkeypatch.setattr(good["pipeline"].unet, "forward", lambda *_, **__: pytest.fail("the network was asked"))
    with pytest.raises(ValueError, match=sentence):
        function(**{**good, **changes})


def test_a_setting_that_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"^steps of EmbeddingSettings is '9': set it to a whole number between 1 and"):
        EmbeddingSettings(steps="9")
    with pytest.raises(FrozenInstanceError):
        TuningSettings().steps = 3


@pytest.mark.parametrize(("kind", "stage"), [(EmbeddingSettings, optimize_embedding), (TuningSettings, fine_tune)])
def test_the_settings_are_those_of_the_stages(kind, stage):
    parameters = inspect.signature(stage).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty and one.name != "on_step"}
    assert asdict(kind()) == defaults


def test_a_network_that_gives_nan_gives_no_black_picture(calls, monkeypatch):
    edit = sample(calls).__self__
    forward = edit.pipeline.unet.forward

    def broken(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.sample.fill_(NAN)
        return output

    monkeypatch.setattr(edit.pipeline.unet, "forward", broken)
    with pytest.raises(ValueError, match=r"NaN or infinite values: load the pipeline and its autoencoder in .*\.$"):
        edit.sample(num_inference_steps=1, mask_image=REGION)
    with pytest.raises(ValueError, match=r"NaN or infinite values: .*\.$"):
        edit.region()
