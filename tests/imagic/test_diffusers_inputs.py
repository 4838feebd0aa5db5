"""Whatever a caller gives `imagic.diffusers` ends in one sentence of ours or in a picture of finite numbers."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imagic.diffusers import ImagicEdit, tune

from .pipelines import build

NAN, INF = float("nan"), float("inf")
INTERNAL = re.compile(r"\w+Error\b|object at 0x|must match")
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
ANYTHING = [None, "", "text", b"x", 3, -1, 2**70, 10**400, 0.5, NAN, INF, True, [], {}, (), object(), np.float32(NAN)]
ANYTHING += [torch.zeros(0), torch.zeros(2, 2), torch.tensor(NAN), ["a", "b"], {"steps": 1}, Path("nowhere/a"), PHOTO]
ENDS = [-2.0, 3, 3.0001, -2.1, 0, 0.95, 0.96, 1e300, 1.5]
REGION = torch.ones(1, 1, 8, 8)
REGIONS = [REGION[0], REGION * NAN, REGION * 2, -REGION, REGION[..., :4], REGION.bool(), REGION.long(), REGION * 0]
STAGE = [{name: value} for name in ("steps", "samples", "rank", "seed", "tune", "schedule") for value in ANYTHING]
STAGE += [{name: value} for name in ("learning_rate", "on_step", "gradient_checkpointing", 1) for value in ANYTHING]
STAGE += [{"step": 1}, {"on_step": print, "steps": 1}, {"learning_rate": 2.0}, {"steps": 0}]
PHOTOS = [PHOTO.convert(mode) for mode in ("L", "1", "CMYK", "RGBA", "LA", "P", "I", "F")]
PHOTOS += ["photo.jpg", np.asarray(PHOTO), PHOTO.resize((1, 1)), Image.fromarray(np.full((16, 16), NAN, np.float32))]


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Each function with arguments that work, and what else may be given for each."""
    pipeline, folder = build("Stable Diffusion 1"), tmp_path_factory.mktemp("edits")
    short = {"embedding": {"steps": 1, "samples": 1}, "tuning": {"steps": 1, "samples": 1, "rank": 1}}
    edit = tune(pipeline, PHOTO, "a dog", **short)
    edit.save(folder / "good.safetensors")
    (folder / "text.safetensors").write_text("no edit")
    paths = [folder, folder / "nowhere" / "a", folder / "text.safetensors", folder / "none.safetensors", "a\0b"]
    learn = {"pipeline": pipeline, "photo": PHOTO, "text": "a dog", **short, "on_step": lambda step: None}
    draw = {"eta": 1.0, "target": None, "steps": 1, "guidance": 1.0, "threshold": 0.4, "region": REGION, "seed": 0}
    find = {"target": None, "threshold": 0.4, "seed": 0}
    return [
        (
            tune,
            learn,
            {"photo": PHOTOS, "embedding": STAGE, "tuning": STAGE, "pipeline": [pipeline.unet, pipeline.vae]},
        ),
        (edit.sample, draw, {"region": REGIONS, **dict.fromkeys(("eta", "guidance", "threshold", "steps"), ENDS)}),
        (edit.region, find, {"threshold": ENDS}),
        (edit.save, {"path": folder / "a.safetensors"}, {"path": paths}),
        (ImagicEdit.load, {"path": folder / "good.safetensors", "pipeline": pipeline}, {"path": paths}),
    ]


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
    if isinstance(answer, torch.Tensor):
        return bool(answer.isfinite().all())
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
        ({"guidance": "4"}, r"^guidance is '4': set it to a number between 0 and 100\.$"),
        ({"target": ["a", "b"]}, r"^target is of type list: give it a text\.$"),
        ({"steps": 2.5}, r"^steps is 2\.5: set it to a whole number between 1 and 1000\.$"),
        (
            {"region": REGION[0]},
            r"^region is a tensor \[1, 8, 8\]: give it what ImagicEdit\.region gives, a tensor \[1, 1,",
        ),
    ],
)
def test_what_is_wrong_is_named(calls, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        calls[1][0](**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"photo": "photo.jpg"}, r"^The photo is of type str: open it with PIL\.Image\.open first\.$"),
        ({"tuning": {"step": 1}}, r"^A key of tuning is 'step': choose one of tune, rank, steps, "),
        ({"embedding": {"steps": "9"}}, r"^steps of embedding is '9': set it to a whole number between 1 and 10000\.$"),
        ({"on_step": 3}, r"^on_step is 3: give it a function that takes a Step\.$"),
    ],
)
def test_what_is_wrong_is_named_before_any_training(calls, changes, sentence, monkeypatch):
    function, good, _ = calls[0]
    monkeypatch.setattr(good["pipeline"].unet, "forward", lambda *_, **__: pytest.fail("the network was asked"))
    with pytest.raises(ValueError, match=sentence):
        function(**{**good, **changes})


def test_a_network_that_gives_nan_gives_no_black_picture(calls, monkeypatch):
    edit = calls[1][0].__self__
    forward = edit.pipeline.unet.forward

    def broken(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.sample.fill_(NAN)
        return output

    monkeypatch.setattr(edit.pipeline.unet, "forward", broken)
    with pytest.raises(ValueError, match=r"NaN or infinite values: load the pipeline and its autoencoder in .*\.$"):
        edit.sample(steps=1, region=REGION)
    with pytest.raises(ValueError, match=r"NaN or infinite values: .*\.$"):
        edit.region()
