"""The flow model's folder and pipeline: with random weights, and with the trained ones where they are."""

import pytest
import torch
from safetensors.torch import load_file

from demo import classifier, load
from demo.scenes import VALUES, caption
from demo.training import evaluate
from demo.training.data import pictures
from imagic.diffusers import DiffusersDenoiser
from tests import flow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return flow.write(tmp_path_factory.mktemp("flow"))


@pytest.fixture(scope="module")
def pipeline(folder):
    return load.flow_pipeline(folder)


def test_fits_its_size(folder):
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 25_000_000


def test_weights_are_finite_halves(folder):
    for path in folder.rglob("*.safetensors"):
        for name, tensor in load_file(path).items():
            assert name == "token_ids" or tensor.dtype == torch.float16
            assert tensor.isfinite().all(), f"{name} in {path.name}"


def test_what_was_exported_predicts_as_what_was_trained(pipeline):
    network = flow.network()
    latents = torch.randn(2, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([50.0, 900.0])
    with torch.no_grad():
        tokens, _, pooled, _ = pipeline.encode_prompt(["a red cat", "a dog"])
        before = network["transformer"](latents, tokens, pooled, times).sample
        after = pipeline.transformer(latents, tokens, pooled, times).sample
    assert before.std() > 0.1
    torch.testing.assert_close(after, before, atol=5e-3, rtol=5e-3)  # of half precision


def test_its_texts_are_24_tokens_of_another_scale(pipeline):
    with torch.no_grad():
        tokens, empty, pooled, empty_pooled = pipeline.encode_prompt("a red cat in the snow", num_images_per_prompt=2)
    assert tokens.shape == empty.shape == (2, 24, 128)
    assert pooled.shape == empty_pooled.shape == (2, 128)
    rms = tokens.square().mean(-1).sqrt()
    torch.testing.assert_close(rms, torch.full_like(rms, 0.2), atol=2e-3, rtol=0)
    assert not torch.equal(tokens, empty)


def test_it_draws_at_its_own_size_and_larger(pipeline):
    assert evaluate.samples(pipeline, ["a red cat"], steps=2).shape == (1, 128, 128, 3)
    drawn = pipeline("a red cat", height=192, width=256, num_inference_steps=1, output_type="pt")
    assert drawn.images.shape == (1, 3, 192, 256)


def test_imagic_knows_it(pipeline):
    denoiser = DiffusersDenoiser(pipeline)
    noisy, tokens = torch.randn(1, 16, 16, 16), torch.randn(1, 24, 128)
    with torch.no_grad():
        clean = denoiser(noisy, torch.tensor([0.5]), {"cross_attn": tokens, "pooled_output": torch.randn(1, 128)})
    assert clean.shape == noisy.shape


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="make flow-model"):
        load.flow_pipeline(tmp_path)


needs_training = pytest.mark.skipif(
    not (load.FLOW_MODEL / "transformer").is_dir(), reason="the flow model is not trained yet: make flow-model"
)


@pytest.fixture(scope="module")
def trained():
    return load.flow_pipeline()


@needs_training
def test_trained_weights_are_finite_halves_of_the_tried_shape(folder):
    test_fits_its_size(load.FLOW_MODEL)
    test_weights_are_finite_halves(load.FLOW_MODEL)
    for path in folder.rglob("*.safetensors"):
        random, trained = load_file(path), load_file(load.FLOW_MODEL / path.relative_to(folder))
        assert {name: tensor.shape for name, tensor in random.items()} == {n: t.shape for n, t in trained.items()}


@needs_training
def test_trained_latents_are_standardised(trained):
    latents = evaluate.encode(trained.vae, pictures(evaluate.held_out(32)))
    deviation, mean = torch.std_mean(latents, dim=(0, 2, 3))
    assert mean.abs().max() < 0.2
    assert (deviation - 1).abs().max() < 0.2


@needs_training
def test_trained_autoencoder_is_a_high_ceiling(trained):
    assert evaluate.reconstruction(trained.vae, 48).mean() >= 29


@needs_training
def test_samples_show_what_their_captions_say(trained):
    scenes = evaluate.held_out(16)
    images = evaluate.samples(trained, [caption(s.attributes) for s in scenes])
    shares = evaluate.agreement(classifier.load(), images, scenes)
    assert sum(shares[name] for name in VALUES) / len(VALUES) >= 0.85, shares
