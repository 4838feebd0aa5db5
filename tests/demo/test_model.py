"""The committed weights, on combinations and seeds that no training saw."""

import pytest
import torch
from safetensors.torch import load_file

from demo import classifier, load, words
from demo.scenes import VALUES, caption
from demo.training import evaluate
from demo.training.data import pictures, to_pixels
from demo.training.text_to_image import unet


@pytest.fixture(scope="module")
def judge():
    return classifier.load()


@pytest.fixture(scope="module")
def pipeline():
    return load.pipeline()


def test_fits_its_size():
    assert sum(path.stat().st_size for path in load.MODEL.rglob("*") if path.is_file()) <= 20_000_000
    assert classifier.PATH.stat().st_size <= 3_000_000


def test_weights_are_finite_halves():
    for path in [*load.MODEL.rglob("*.safetensors"), classifier.PATH]:
        for name, tensor in load_file(path).items():
            assert name == "token_ids" or tensor.dtype == torch.float16
            assert tensor.isfinite().all(), f"{name} in {path.name}"


def test_shipped_unet_is_the_trained_shape():
    shipped, trained = load.unet(), unet()
    assert {n: p.shape for n, p in shipped.named_parameters()} == {n: p.shape for n, p in trained.named_parameters()}


def test_unknown_words_share_an_embedding(pipeline):
    table = pipeline.text_encoder.get_input_embeddings().weight
    assert table.shape == (words.VOCABULARY_SIZE, 128)
    assert torch.equal(table[words.UNKNOWN], table[12345])
    known = table[list(words.TOKEN_IDS)]
    assert torch.unique(known, dim=0).shape == known.shape


def test_latents_are_standardised(pipeline):
    latents = evaluate.encode(pipeline.vae, pictures(evaluate.held_out(32)))
    assert latents.shape == (32, 4, 16, 16)
    deviation, mean = torch.std_mean(latents, dim=(0, 2, 3))
    assert mean.abs().max() < 0.2
    assert (deviation - 1).abs().max() < 0.2


def test_autoencoder_is_a_high_ceiling(pipeline):
    assert evaluate.reconstruction(pipeline.vae, 48).mean() >= 31


def test_classifier_reads_renders(judge):
    scenes = evaluate.held_out(200)
    shares = evaluate.agreement(judge, pictures(scenes), scenes)
    assert min(shares[name] for name in VALUES) >= 0.97


def test_classifier_reads_reconstructions(judge, pipeline):
    scenes = evaluate.held_out(64)
    images = evaluate.decode(pipeline.vae, evaluate.encode(pipeline.vae, pictures(scenes)))
    shares = evaluate.agreement(judge, to_pixels(images), scenes)
    assert min(shares[name] for name in VALUES) >= 0.93


def test_samples_show_what_their_captions_say(judge, pipeline):
    scenes = evaluate.held_out(8)
    images = evaluate.samples(pipeline, [caption(s.attributes) for s in scenes])
    shares = evaluate.agreement(judge, images, scenes)
    assert sum(shares[name] for name in VALUES) / len(VALUES) >= 0.85, shares
