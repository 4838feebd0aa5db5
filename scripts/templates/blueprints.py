"""The nodes made of nodes: an edit of a full-size photo by one sentence, in as many ways as its wires differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scripts.templates.page import Output, Point, Subgraph

NAME, FINISHED = "Edit a photo by one sentence", "What the finished photo shows"
SENTENCE, CAPTION = "a brown dog sitting in the snow wearing a hat", "a brown dog sitting in the snow"
ALIASES = ["edit photo", "imagic", "edit image by text", "prompt edit", "keep background", "full size edit"]
FIRST = 11  # the id of the first node inside, after those of a page
BLUE, GREEN, GOLD, PURPLE = "#3f789e", "#8A8", "#b58b2a", "#a1309b"
WIDE = 290  # of a node inside

Add = Callable[..., tuple[Output, ...]]


def checkpoint(info: dict, defaults: dict) -> Subgraph:
    """With any MODEL, CLIP and VAE."""
    inside = Subgraph(
        f"{NAME} (Imagic)",
        "Changes a photo to what one sentence says, with the model that you have. The rest stays, and the photo keeps "
        "its full size.",
        info,
        defaults,
        FIRST,
    )
    photo, model, clip, vae, mask = _sockets(inside)
    sentence, caption = _texts(inside, SENTENCE)
    strength, keep, size = _dials(inside, 512)
    seed = inside.take("seed", "INT", value=0)
    texts = _anchored(inside, clip, sentence, caption)
    _edit(inside, photo, model, vae, mask, size, texts, strength, keep, seed)
    return inside


def flux(info: dict, defaults: dict) -> Subgraph:
    """With Flux and its kin, which have their guidance in the text and no use for a negative one."""
    inside = Subgraph(
        f"{NAME}, Flux (Imagic)",
        "Changes a photo to what one sentence says, with Flux.1 dev. The rest stays, and the photo keeps its full "
        "size.",
        info,
        defaults,
        FIRST,
    )
    photo, model, clip, vae, mask = _sockets(inside)
    sentence, caption = _texts(inside, SENTENCE)
    strength, keep, size = _dials(inside, 1024)
    seed = inside.take("seed", "INT", value=0)
    texts = _anchored(inside, clip, sentence, caption, guidance=3.5)
    training = {"gradient_checkpointing": True}
    sampling = {"cfg": 1.0, "sampler_name": "euler", "scheduler": "simple"}
    _edit(inside, photo, model, vae, mask, size, texts, strength, keep, seed, training=training, sampling=sampling)
    return inside


def demo(info: dict, defaults: dict) -> Subgraph:
    """With the demo model, which is inside."""
    inside = Subgraph(
        f"{NAME}, demo model (Imagic)",
        "The same with the tiny demo model of this pack, to try it without a download. It knows cartoon animals only.",
        info,
        defaults,
        FIRST,
    )
    photo = inside.take("photo", "IMAGE")
    mask = inside.take("mask", "MASK", "where it may change (optional)")
    sentence, caption = _texts(inside, SENTENCE)
    strength, keep, _ = _dials(inside, None)
    seed = inside.take("seed", "INT", value=0)
    model, clip, vae = inside.add("ImagicDemoCheckpoint", "Demo model", (0, 0), (WIDE, 98))
    texts = _anchored(inside, clip, sentence, caption)
    # The demo model knows whole scenes only: around a painted region it is shown as much as there is.
    _edit(inside, photo, model, vae, mask, 128, texts, strength, keep, seed, context=8.0)
    return inside


def instant(info: dict, defaults: dict) -> Subgraph:
    """Without training: the caption stands for the photo."""
    inside = Subgraph(
        f"{NAME}, no training (Imagic)",
        "Changes a photo to what one sentence says, without training: you also write what the photo shows now. Quicker "
        "and less exact.",
        info,
        defaults,
        FIRST,
    )
    photo, model, clip, vae, mask = _sockets(inside)
    sentence = inside.take("sentence", "STRING", "what the finished photo shows", SENTENCE)
    caption = inside.take("caption", "STRING", "what the photo shows now", CAPTION)
    strength, keep, size = _dials(inside, 512)
    seed = inside.take("seed", "INT", value=0)
    (target,) = inside.add(
        "CLIPTextEncode", "What the finished photo shows", (380, 300), (WIDE, 90), clip=clip, text=sentence
    )
    (anchor,) = inside.add(
        "CLIPTextEncode", "What the photo shows now", (380, 440), (WIDE, 90), clip=clip, text=caption
    )
    (negative,) = inside.add("CLIPTextEncode", "What it must not show", (380, 580), (WIDE, 90), clip=clip, text="")
    _edit(inside, photo, model, vae, mask, size, (target, anchor, negative), strength, keep, seed, training=None)
    return inside


BLUEPRINTS = (checkpoint, flux, demo, instant)


def _sockets(inside: Subgraph) -> tuple[Output, ...]:
    return (
        inside.take("photo", "IMAGE"),
        inside.take("model", "MODEL"),
        inside.take("clip", "CLIP"),
        inside.take("vae", "VAE"),
        inside.take("mask", "MASK", "where it may change (optional)"),
    )


def _texts(inside: Subgraph, sentence: str) -> tuple[Output, Output]:
    return (
        inside.take("sentence", "STRING", "what the finished photo shows", sentence),
        inside.take("caption", "STRING", "what it shows now (optional)", ""),
    )


def _dials(inside: Subgraph, size: int | None) -> tuple[Output, Output, Output | None]:
    return (
        inside.take("strength", "FLOAT", value=inside.defaults["ImagicInterpolateEmbedding"]["eta"]),
        inside.take("keep", "FLOAT", value=inside.defaults["ImagicKeepPhoto"]["threshold"]),
        inside.take("size", "INT", "size the model draws", size) if size else None,
    )


def _anchored(
    inside: Subgraph, clip: Output, sentence: Output, caption: Output, guidance: float | None = None
) -> tuple[Output, Output, Output]:
    """The target, the text that A starts from, and the negative text. A starts from the caption, if there is one."""
    (empty,) = inside.add(
        "StringCompare", "No caption?", (0, 560), (WIDE, 110), string_a=caption, string_b="", mode="Equal"
    )
    (text,) = inside.add(
        "ComfySwitchNode",
        "The caption, else the sentence",
        (0, 740),
        (WIDE, 90),
        switch=empty,
        on_false=caption,
        on_true=sentence,
    )
    found = _encoded(inside, clip, (FINISHED, sentence), ("What A starts from", text))
    if guidance is None:
        return found
    guided = [
        inside.add("FluxGuidance", "Guidance", (380, top), (WIDE, 58), conditioning=text, guidance=guidance)[0]
        for top, text in zip((720, 830), found, strict=False)
    ]
    return (*guided, found[2])


def _encoded(inside: Subgraph, clip: Output, *texts: tuple[str, Output]) -> tuple[Output, ...]:
    """The texts, by their titles, and an empty negative one."""
    return tuple(
        inside.add("CLIPTextEncode", title, (380, 300 + 140 * row), (WIDE, 90), clip=clip, text=text)[0]
        for row, (title, text) in enumerate((*texts, ("What it must not show", "")))
    )


def _edit(
    inside: Subgraph,
    photo: Output,
    model: Output,
    vae: Output,
    mask: Output,
    size: Output | int,
    texts: tuple[Output, Output, Output],
    strength: Output,
    keep: Output,
    seed: Output,
    training: Mapping | None = MappingProxyType({}),
    sampling: Mapping = MappingProxyType({}),
    **cropping: float,
) -> None:
    """Everything from the photo to the edit of its size.

    Args:
        training: widgets of A and B besides their defaults; None leaves both out.
    """
    target, anchor, negative = texts
    add: Add = inside.add
    stitcher, part, painted = add(
        "ImagicCropPhoto",
        "The size the model draws",
        (0, 300),
        (WIDE, 170),
        photo=photo,
        size=size,
        region=mask,
        **cropping,
    )
    (latent,) = add("VAEEncode", "Encode the photo", (380, 160), (WIDE, 46), pixels=part, vae=vae)
    shared = {"model": model, "latent": latent}
    optimized, tuned = anchor, model
    if training is not None:
        optimized, *_ = add(
            "ImagicOptimizeEmbedding",
            "A: learn the photo's words",
            (760, 160),
            (WIDE, 250),
            **shared,
            conditioning=anchor,
            **training,
        )
        tuned, *_ = add(
            "ImagicFineTuneUNet",
            "B: learn the photo's look",
            (760, 480),
            (WIDE, 320),
            **shared,
            conditioning=optimized,
            **training,
        )
    shared = {"model": tuned, "latent": latent, "optimized": optimized, "target": target}
    region, _ = add(
        "ImagicEditRegion", "Where it may change", (1140, 160), (WIDE, 260), **shared, threshold=keep, painted=painted
    )
    kept, free = add(
        "ImagicKeepPhoto", "Keep the rest", (1140, 480), (WIDE, 160), **shared, threshold=keep, region=region
    )
    (mixed, _) = add(
        "ImagicInterpolateEmbedding",
        "C: from the photo to the sentence",
        (1140, 700),
        (WIDE, 110),
        optimized=optimized,
        target=target,
        eta=strength,
        sweep="",
    )
    (samples,) = add(
        "KSampler",
        "Draw the edit",
        (1520, 160),
        (WIDE, 270),
        model=kept,
        positive=mixed,
        negative=negative,
        latent_image=latent,
        seed=seed,
        **sampling,
    )
    (edited,) = add("VAEDecode", "Decode the edit", (1520, 490), (WIDE, 46), samples=samples, vae=vae)
    (before,) = add("VAEDecode", "Decode the photo too", (1520, 590), (WIDE, 46), samples=latent, vae=vae)
    image, changed = add(
        "ImagicRestorePhoto",
        "Put it into the full-size photo",
        (1900, 160),
        (WIDE, 220),
        edited=edited,
        align=False,
        stitcher=stitcher,
        before=before,
        region=free,
    )
    inside.give("edit", image)
    inside.give("region", changed)
    inside.give("model", tuned, "tuned model" if training is not None else "model")
    _explain(inside, training is not None)


def _explain(inside: Subgraph, trained: bool) -> None:
    frames: list[tuple[str, Point, Point, str]] = [
        ("1  Photo and words", (-20, 80), (710, 850), BLUE),
        *([("2  Learn the photo", (740, 80), (330, 850), GREEN)] if trained else []),
        ("3  Where, and how much", (1120, 80), (330, 850), GOLD),
        ("4  Draw, and put back", (1500, 80), (710, 850), PURPLE),
    ]
    for frame in frames:
        inside.group(*frame)
