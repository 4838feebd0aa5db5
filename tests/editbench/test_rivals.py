"""The rivals, where what they must give is known."""

import numpy as np
import pytest
import torch

from . import metrics, pairs
from .methods import flowedit, inpaint, ledits
from .outcome import Outcome

PAIR = pairs.development()[0]


@pytest.fixture(scope="module")
def latent(studio):
    return studio.encode(PAIR.source)


@pytest.fixture(scope="module")
def texts(studio):
    return [studio.text(text) for text in (PAIR.edit.source_caption, PAIR.edit.target_caption)]


def test_flowedit_from_a_caption_to_itself_is_the_photo(studio, latent, texts):
    same = flowedit.moved(studio, latent, [texts[0], texts[0]], [2.0, 2.0], 3)
    torch.testing.assert_close(same, latent, rtol=0, atol=1e-4)
    assert (flowedit.moved(studio, latent, texts, [1.5, 5.5], 3) - latent).abs().max() > 0.01


def test_flowedit_spends_four_evaluations_a_step(studio, latent, texts):
    outcome = Outcome()
    with studio.measured(outcome.sample("a")):
        flowedit.moved(studio, latent, texts, [1.5, 5.5], 3)
    assert outcome.samples["a"].forward_equivalents == 12


def test_inpainting_leaves_alone_what_is_outside_its_mask(studio, latent, texts):
    region = torch.zeros_like(latent[:, :1])
    region[..., 8:] = 1
    edited = inpaint.inpainted(studio, latent, texts[1], region, 0.5)
    torch.testing.assert_close(edited[..., :8], latent[..., :8], rtol=0, atol=1e-4)
    assert (edited[..., 8:] - latent[..., 8:]).abs().max() > 0.1


def test_ledits_of_no_guidance_is_the_photo_and_puts_the_network_back(studio, monkeypatch):
    """Its inversion keeps a noise a step, which brings the photo back, up to the solver's second order."""
    monkeypatch.setattr(ledits, "SETTINGS", ledits.SETTINGS | {"guidance": [0], "thresholds": [0.0]})
    before = dict(studio.network.attn_processors)
    outcome = ledits.edit(studio, PAIR)
    ceiling = studio.decode(studio.encode(PAIR.source))
    assert metrics.psnr(outcome.pictures["0, 0"], ceiling) > 30
    after = studio.network.attn_processors
    assert all(after[name] is processor for name, processor in before.items())
    assert outcome.pictures["0, 0"].dtype == np.uint8
