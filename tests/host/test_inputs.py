"""Whatever a graph or a script can send to a node ends in one sentence of ours or in finite numbers."""

import importlib
import random
import re
import time
from collections import Counter

import numpy as np
import pytest
import torch

NAN, INF = float("nan"), float("inf")
# How a sentence of the host, of torch or of Python would give itself away.
INTERNAL = re.compile(r"\w+(Error|Exception)\b|Traceback|object at 0x|torch\.nn|size mismatch|must match")
SLOW = 10  # seconds
PAIRS = 900  # random cases, each with one or several inputs replaced


class Nothing:
    """Something that no host has heard of."""


def anything(studio) -> list:
    """What may come over any link or in any widget."""
    values = [None, "", "text", "0.5", b"bytes", 3, -1, 2**70, 10**400, 0.5, NAN, INF, True, [], {}, (), Nothing()]
    values += [torch.zeros(0), torch.zeros(3), torch.tensor(NAN), np.float32(NAN), np.int64(2), [None], [[]], [[[]]]]
    return [*values, {"samples": 1}, studio.model, studio.clip, studio.vae]


def latents(studio) -> list:
    good = studio.latent["samples"]
    shapes = [
        good[0],
        good[:, :3],
        good[:0],
        good[..., :0],
        good.repeat(2, 1, 1, 1),
        good.unsqueeze(2),
        good[None, None],
    ]
    shapes += [good.repeat(1, 4, 1, 1), good.unsqueeze(2).repeat(1, 1, 3, 1, 1), torch.zeros(64)]
    types = [good.long(), good.bool(), good.to(torch.complex64), torch.nested.nested_tensor([good[0], good[0]])]
    numbers = [good * NAN, good * INF, torch.where(good > good.median(), NAN, good)]
    latents = [{"samples": samples} for samples in (*shapes, *types, *numbers)]
    return [{}, {"samples": None}, good, [good], *latents, {"samples": good, "noise_mask": torch.ones(1, 1, 16, 16)}]


def conditionings(studio) -> list:
    tokens, extras = studio.target[0]
    shapes = [
        tokens[0],
        tokens[:, :0],
        tokens[:0],
        tokens[..., :0],
        tokens[..., :7],
        tokens[None],
        tokens.repeat(2, 1, 1),
    ]
    others = [tokens.long(), tokens * NAN, tokens * INF, tokens[0, 0]]
    changed = [[[each, extras]] for each in (*shapes, *others)]
    more = {"pooled_output": extras["pooled_output"] * NAN}, {"guidance": NAN}, {"area": (8, 8, 0, 0)}, {1: 2}
    more += {"pooled_output": torch.zeros(1, 0)}, {"mask": torch.ones(1, 16, 16)}, {"pooled_output": None}
    more += ({"attention_mask": torch.ones(1, 5)},)
    changed += [[[tokens, {**extras, **each}]] for each in more]
    return [
        *changed,
        [[tokens]],
        [tokens],
        tokens,
        [[tokens, None]],
        [[None, {}]],
        [[tokens, extras, 1]],
        [()],
        studio.target * 2,
    ]


def images() -> list:
    good = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    shapes = [
        good[:0],
        good[0],
        good[..., :1],
        good[..., :2],
        good[:, :5, :5],
        good[:, :1, :1],
        good[:, :, :0],
        good[None],
    ]
    return [
        *shapes,
        torch.cat([good, good[..., :1]], -1),
        good * NAN,
        good * INF,
        (good * 255).byte(),
        good > 0.5,
        [good],
    ]


def masks() -> list:
    good = torch.ones(1, 128, 128)
    return [
        good[:, :0],
        good[0, 0],
        good * NAN,
        good * INF,
        good.repeat(2, 1, 1),
        good * 0,
        good[0],
        good[None],
        good > 0,
    ]


LORAS = [{"a": 1}, {"a": torch.zeros(2)}, {1: torch.zeros(2)}, {"a.lora_up.weight": torch.zeros(2, 2)}, {"a": None}]
LORAS += [{"lora_unet_input_blocks_1_1_proj_in.diff": torch.full((2,), NAN)}]
LOSSES = [{"loss": []}, {"loss": [NAN]}, {"loss": ["a"]}, {"loss": torch.ones(3)}, {"loss": [1.0, INF]}, {"loss": 1.0}]
LOSSES += [{"loss": [0.1] * 100_000}, {"losses": [1.0]}, {"loss": [1e308] * 30}]
LOSSES += [{"loss": [1.0], "validation": [1.0]}, {"loss": [1.0], "validation": 1, "validation_steps": 1}]
LOSSES += [{"loss": [1.0], "validation": [NAN], "validation_steps": [0]}, {"loss": [1.0], "validation": None}]
NAMES = [
    "../edit",
    ".hidden",
    "a/.b",
    "nul/x",
    "com1",
    "x" * 300,
    "a\0b",
    "a\nb",
    "trail./x",
    "é" * 200,
    "/",
    "<b>",
    "a b",
]
SWEEPS = [
    ",".join(["1"] * 10_000),
    "3.0000001",
    "1,2",
    "nan",
    "0, inf",
    "1e999",
    "0.2, a",
    ",,,",
    ";",
    "0,5",
    "-3",
    "1_0",
    "٣",
    "0x10",
    "1" * 5000,
]


def of_widget(options: dict) -> list:
    ends = [options[limit] for limit in ("min", "max") if limit in options]
    return [*ends, *(end + step for end in ends for step in (-1, 1))]


@pytest.fixture(scope="module")
def good(studio, tmp_path_factory):
    """A working set of inputs for each node, as cheap as its function allows."""
    optimized, loss = studio.optimize(steps=1, samples=1)["result"]
    tuned, lora, _ = studio.tune(steps=1, samples=1, rank=1)["result"]
    photo = studio.decode(studio.latent)[:, :64, :64]
    small = {"samples": studio.latent["samples"][..., :8, :8]}
    stage = {"model": studio.model, "latent": small, "conditioning": optimized, "steps": 1, "samples": 1, "seed": 0}
    stage |= {"learning_rate": 1e-4, "schedule": "cosine"}
    ends = {"optimized": optimized, "target": studio.target}
    saved = {"model": studio.model, "optimized": optimized, "anchor": studio.target, "lora": lora, "source": photo}
    importlib.import_module("folder_paths").set_output_directory(str(tmp_path_factory.mktemp("output")))
    with torch.inference_mode():
        answer = studio.nodes["ImagicSaveEdit"]().save(**saved, name="good")
    sweep = {"images": [photo], "source": [photo], "eta": [1.0]}
    crop = {"photo": photo, "size": 64, "multiple": 16, "context": 1.5, "region": torch.ones(1, 64, 64)}
    restore = {"edited": photo, "align": False, "threshold": 3.0, "feather": 1.0, "photo": photo}
    return {
        "ImagicOptimizeEmbedding": stage,
        "ImagicFineTuneUNet": {**stage, "tune": "LoRA", "rank": 1, "gradient_checkpointing": False},
        "ImagicInterpolateEmbedding": {**ends, "eta": 1.0, "sweep": ""},
        "ImagicEditRegion": {"model": tuned, "latent": small, **ends, "threshold": 0.4},
        "ImagicKeepPhoto": {"model": tuned, "latent": small, **ends, "threshold": 0.4, "region": torch.ones(1, 64, 64)},
        "ImagicEditSheet": {**sweep, "cell": [64], "winner": [1]},
        "ImagicLossChart": {"loss": loss, "title": "A"},
        "ImagicSaveEdit": {**saved, "name": "edit"},
        "ImagicLoadEdit": {"model": studio.model, "edit": answer["ui"]["imagic"][0]["edit"], "strength": 1.0},
        "ImagicTuningStrength": {"model": studio.model, "lora": lora, "strength": 1.0},
        "ImagicPickEdit": {**sweep, "model": [studio.model], "vae": [studio.vae], "samples": [1], "text": [""]}
        | {name: [value] for name, value in ends.items()},
        "ImagicDemoCheckpoint": {},
        "ImagicCropPhoto": crop,
        "ImagicRestorePhoto": {**restore, "stitcher": None},
    }


def pool(studio, name: str, kind, options: dict) -> list:
    """Values for an input: some that fit its type nearly, and anything at all."""
    near = {
        "LATENT": lambda: latents(studio),
        "CONDITIONING": lambda: conditionings(studio),
        "IMAGE": images,
        "MASK": masks,
        "LORA_MODEL": lambda: LORAS,
        "LOSS_MAP": lambda: LOSSES,
        "INT": lambda: of_widget(options),
        "FLOAT": lambda: of_widget(options),
        "STRING": lambda: {"name": NAMES, "sweep": SWEEPS}.get(name, []),
    }
    values = [*(near[kind]() if isinstance(kind, str) and kind in near else []), *anything(studio)]
    # The longest run that a widget allows is no bad input.
    long = name in ("steps", "samples", "rank")
    return [value for value in values if not (long and isinstance(value, int) and 8 < value <= 10000)]


def cases(studio, good: dict):
    """Every value in every input, then several at once: node's name, inputs, what was changed."""
    pools = {}
    for node in studio.nodes:
        declared = studio.nodes[node].INPUT_TYPES()
        for part in ("required", "optional"):
            for name, (kind, *options) in declared.get(part, {}).items():
                pools[node, name] = pool(studio, name, kind, options[0] if options else {})
    as_list = {node for node in studio.nodes if getattr(studio.nodes[node], "INPUT_IS_LIST", False)}

    def sent(node, value):
        return [value] if node in as_list else value

    for (node, name), values in pools.items():
        yield from ((node, {name: sent(node, value)}) for value in values)
        if node in as_list:
            yield from ((node, {name: value}) for value in ([], None, [good[node].get(name, [1])[0]] * 3))
    draw = random.Random(0)
    for _ in range(PAIRS):
        node = draw.choice(sorted({node for node, _ in pools}))
        names = [name for other, name in pools if other == node]
        chosen = draw.sample(names, draw.randint(1, min(3, len(names))))
        changes = {name: sent(node, draw.choice(pools[node, name])) for name in chosen}
        if len(changes) > 1:  # one alone was sent above
            yield node, changes


def not_finite(value) -> bool:
    """Whether an output holds NaN or infinity anywhere."""
    if isinstance(value, torch.Tensor):
        return not bool(value.float().isfinite().all())
    if isinstance(value, dict):
        return any(map(not_finite, value.values()))
    if isinstance(value, list | tuple):
        return any(map(not_finite, value))
    return isinstance(value, float) and value != value


def outcome(kind: type, inputs: dict) -> tuple[str, object] | None:
    """What is wrong about how a node answers to these inputs, by the key of tests/hardening.json; None if nothing."""
    started = time.process_time()
    try:
        with torch.inference_mode():
            answer = getattr(kind(), kind.FUNCTION)(**inputs)
    except ValueError as error:
        words = str(error)
        if "\n" in words or not words.endswith(".") or INTERNAL.search(words) or len(words) > 400:
            return "internal", error
    except Exception as error:
        return "internal", error
    else:
        if not_finite(answer["result"] if isinstance(answer, dict) and "result" in answer else answer):
            return "nan", "not finite"
    seconds = time.process_time() - started  # of this process, for others may keep the machine busy
    return ("slow", f"{seconds:.0f} s") if seconds > SLOW else None


def test_every_input_ends_in_a_sentence_or_in_finite_numbers(studio, good, figures):
    count, wrong = 0, []
    for node, changes in cases(studio, good):
        count += 1
        if fault := outcome(studio.nodes[node], {**good[node], **changes}):
            wrong.append((*fault, node, changes))
    found = Counter(kind for kind, *_ in wrong)
    figures |= {"inputs": count, **{kind: found[kind] for kind in ("internal", "nan", "slow")}}
    print(f"{count} inputs: {dict(found)}")
    assert count > 3000
    assert not wrong, "\n".join(
        f"{kind}: {node} {str(changes)[:150]!r}: {what!r:.300}" for kind, what, node, changes in wrong
    )
