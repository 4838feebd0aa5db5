"""EditBench, which runs without a host, measures what users of the host get."""

import pytest
import torch

from imagic.region import edit_region
from scripts import workflow
from tests.editbench import metrics, pairs
from tests.editbench.pack import THRESHOLD, draw
from tests.editbench.studio import Studio as Bench

PAIR = pairs.development()[0]
SAMPLER = workflow.inputs(workflow.load(), "Sample each eta")
SETTINGS = {name: value for name, value in SAMPLER.items() if not isinstance(value, list)}


@pytest.fixture(scope="module")
def bench():
    return Bench()


def test_its_sampler_gives_the_picture_that_the_host_gives(studio, bench):
    """Up to the rounding of timesteps, in which their DDIM schedules differ."""
    latent = studio.encode(torch.from_numpy(PAIR.source.copy())[None] / 255)
    samples = studio.sample(studio.model, studio.text(PAIR.edit.target_caption), **SETTINGS | {"latent_image": latent})
    theirs = (studio.decode(samples)[0].clamp(0, 1) * 255).round().byte().numpy()
    ours = bench.sample(bench.text(PAIR.edit.target_caption), bench.encode(PAIR.source))
    assert metrics.psnr(ours, theirs) > 35


def test_its_edit_is_the_picture_that_the_host_gives(studio, bench):
    """Keep Photo, without any tuning: the same region found and the same difference drawn."""
    latent = studio.encode(torch.from_numpy(PAIR.source.copy())[None] / 255)
    captions = PAIR.edit.source_caption, PAIR.edit.target_caption
    start, target = (studio.text(caption) for caption in captions)
    keeping, _ = studio.keep(studio.model, latent, start, target, THRESHOLD)
    theirs = studio.decode(studio.sample(keeping, target, **SETTINGS | {"latent_image": latent}))
    theirs = (theirs[0].clamp(0, 1) * 255).round().byte().numpy()

    clean, (start, target) = bench.encode(PAIR.source), [bench.text(caption) for caption in captions]
    region = edit_region(bench.denoiser, clean, start, target, threshold=THRESHOLD)
    assert metrics.psnr(draw(bench, clean, start, target, region), theirs) > 35
