"""The demo edit works: held-out pictures, one setting and one seed for all of them."""

import math

import numpy as np
import pytest
import torch

from demo import classifier
from demo.scenes import VALUES, render
from demo.scenes.edits import draw_edits
from scripts import hosts, workflow

PER_KIND = 3
GRAPH = workflow.load()
ETA = workflow.inputs(GRAPH, "C: from the photo to the target")["eta"]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return -10 * math.log10(((a.astype(float) - b) / 255).__pow__(2).mean())


def to_uint8(pixels: torch.Tensor) -> np.ndarray:
    return (pixels[0].clamp(0, 1) * 255).round().byte().numpy()


def settings(title: str) -> dict:
    """The widgets of a node of the demo's graph, without its links."""
    return {name: value for name, value in workflow.inputs(GRAPH, title).items() if not isinstance(value, list)}


@pytest.fixture(scope="module")
def edits(comfyui):
    """All of them on the newest ComfyUI; one of each kind on others, which run the same method."""
    newest = comfyui.path.resolve() == hosts.find().path.resolve()
    return draw_edits(PER_KIND, seed=20)[:: 1 if newest else PER_KIND]


@pytest.fixture(scope="module")
def judged(studio, edits):
    """For every edit: reconstruction and ceiling in dB, whether the target shows, whether all else stays."""
    model, rows = classifier.load(), []
    for edit in edits:
        source = render(edit.scene)
        latent = studio.encode(torch.from_numpy(source)[None] / 255)
        target = studio.text(edit.target_caption)
        optimized = studio.optimize(latent=latent, conditioning=target, **settings("A: optimize the embedding"))[
            "result"
        ][0]
        tuned = studio.tune(latent=latent, conditioning=optimized, **settings("B: tune the model"))["result"][0]
        tuned, _ = studio.keep(tuned, latent, optimized, target, **settings("Keep the photo"))
        start, end = studio.interpolate(optimized, target, sweep=f"0, {ETA}")
        sampler = settings("Sample each eta") | {"latent_image": latent}
        pictures = [to_uint8(studio.decode(studio.sample(tuned, c, **sampler))) for c in (start, end)]
        ceiling = to_uint8(studio.decode(latent))
        seen = {name: VALUES[name][int(p.argmax())] for name, p in classifier.predict(model, pictures[1][None]).items()}
        wanted = vars(edit.truth.attributes)
        # A grey sketch shows no colour.
        others = [name for name in VALUES if name != edit.kind and not (name == "colour" and edit.value == "sketch")]
        rows.append(
            {
                "kind": edit.kind,
                "edit": f"{edit.source_caption} -> {edit.value}",
                "reconstruction": psnr(pictures[0], source),
                "ceiling": psnr(ceiling, source),
                "shows": seen[edit.kind] == edit.value,
                "kept": all(seen[name] == wanted[name] for name in others),
            }
        )
        print(rows[-1])
    return rows


@pytest.mark.long
def test_eta_zero_reconstructs_the_photo(judged):
    """As well as the autoencoder does: what the tuned model forgot is taken from the photo."""
    assert max(row["ceiling"] - row["reconstruction"] for row in judged) <= 0.5, judged


@pytest.mark.long
def test_edits_show_the_target_and_keep_everything_else(judged, edits):
    assert len(judged) == len(edits)
    assert sum(row["shows"] and row["kept"] for row in judged) >= 2 / 3 * len(edits), judged
