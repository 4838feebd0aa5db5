"""Stages A and B find the answers that are known in closed form in a Gaussian world."""

import pytest
import torch
from torch.func import functional_call

from imagic import fine_tune, interpolate, optimize_embedding
from imagic.finetuning import TUNE_MODES
from imagic.validation import Validation

from .gaussian import Gaussian, fingerprint, mean_of, merged, photo, prompt

PREDICTIONS = ["epsilon", "v", "flow"]
EMBEDDING, TUNING = {"steps": 500, "learning_rate": 0.1}, {"steps": 500, "learning_rate": 0.002}
CLOSE = {"rtol": 0, "atol": 0.02}  # from distances of more than one


def embedding_that_explains(latent, network):
    """Solves mean(embedding) = latent: the maps are orthogonal, so there is exactly one."""
    with torch.no_grad():
        tokens = ((latent.flatten(1) - network.pool.bias - network.final.bias) @ network.final.weight).view(1, 2, 8)
        for block in reversed(network.blocks):
            for layer in (block.mlp, block.attn):
                tokens = (tokens - layer.bias) @ layer.weight
    return tokens


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_optimized_embedding_is_the_one_that_explains_the_photo(prediction):
    denoiser, latent, target = Gaussian(prediction, spread=0.02), photo(), prompt()
    answer = embedding_that_explains(latent, denoiser.network)
    assert (target["cross_attn"] - answer).abs().max() > 1

    optimized, history = optimize_embedding(denoiser, latent, target, **EMBEDDING)

    torch.testing.assert_close(optimized["cross_attn"], answer, **CLOSE)
    assert torch.equal(target["cross_attn"], prompt()["cross_attn"])
    assert len(history.losses) == EMBEDDING["steps"]


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_validation_loss_at_the_optimum_is_that_of_the_spread_alone(prediction):
    spread = 0.5
    denoiser, latent = Gaussian(prediction, spread), photo()
    optimum = {"cross_attn": embedding_that_explains(latent, denoiser.network)}
    validation = Validation(denoiser, latent)
    sigma, noise = validation.sigma, validation.noise.square().mean((1, 2, 3))
    # What cannot be told from noise: denoised - clean = spread^2 signal sigma noise / (spread^2 signal^2 + sigma^2).
    signal = denoiser.signal(sigma)
    error = (spread**2 * signal * sigma / (spread**2 * signal**2 + sigma**2)) ** 2 * noise
    weight = {"epsilon": sigma**-2, "v": sigma**-2 + 1, "flow": sigma**-2}[prediction]

    _, history = optimize_embedding(denoiser, latent, optimum, steps=1, learning_rate=1e-9)

    assert history.validation_before == pytest.approx(float((weight * error).mean()), rel=1e-3)
    assert history.validation_after == pytest.approx(history.validation_before, rel=1e-3)


def test_the_pooled_embedding_is_optimized_with_the_tokens_and_a_mask_is_not():
    denoiser, latent = Gaussian(spread=0.02), photo()
    target = {**prompt(), "pooled_output": torch.ones(1, 4), "attention_mask": torch.tensor([[1, 0]])}
    optimized, _ = optimize_embedding(denoiser, latent, target, **EMBEDDING)
    torch.testing.assert_close(mean_of(denoiser.network, optimized), latent, **CLOSE)
    assert torch.dist(optimized["pooled_output"], target["pooled_output"]) > 0.1
    assert torch.equal(optimized["attention_mask"], torch.tensor([[1, 0]]))


@pytest.mark.parametrize("scale", [0.1, 0.2, 5, 30, 300])
def test_a_text_of_another_scale_is_optimized_the_same(scale):
    """The text scaled and the network's first look at it by the inverse are the same model."""

    def run(scale):
        denoiser, target = Gaussian("v"), {**prompt(), "pooled_output": torch.ones(1, 4)}
        for layer in (denoiser.network.blocks[0].attn, denoiser.network.pool):
            layer.weight /= scale
        target = {name: scale * tensor for name, tensor in target.items()}
        optimized, history = optimize_embedding(denoiser, photo(), target)
        return {name: tensor / scale for name, tensor in optimized.items()}, history

    (expected, history), (optimized, scaled) = run(1), run(scale)
    assert scaled.losses == pytest.approx(history.losses, rel=1e-2)
    assert scaled.validation_after == pytest.approx(history.validation_after, rel=1e-2)
    assert history.validation_after < 0.95 * history.validation_before
    torch.testing.assert_close(optimized, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scale", [0.1, 0.2, 5, 30, 300])
@pytest.mark.parametrize("tune", TUNE_MODES)
def test_a_network_that_reads_a_text_of_another_scale_is_tuned_the_same(tune, scale):
    def run(scale):
        denoiser, target = Gaussian("v"), {**prompt(), "pooled_output": torch.ones(1, 4)}
        for layer in (denoiser.network.blocks[0].attn, denoiser.network.pool):
            layer.weight /= scale
        return fine_tune(denoiser, photo(), {name: scale * tensor for name, tensor in target.items()}, tune=tune)[1]

    history, scaled = run(1), run(scale)
    assert scaled.losses == pytest.approx(history.losses, rel=1e-2)
    assert scaled.validation_after == pytest.approx(history.validation_after, rel=1e-2)
    assert history.validation_after < 0.99 * history.validation_before


def test_the_optimized_embedding_is_an_ordinary_fp32_tensor_even_if_the_target_is_not():
    target = {"cross_attn": prompt()["cross_attn"].half()}
    optimized, _ = optimize_embedding(Gaussian(), photo(), target, steps=1)
    assert optimized["cross_attn"].dtype == torch.float32
    assert not optimized["cross_attn"].requires_grad


@pytest.mark.parametrize("tune", TUNE_MODES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_tuned_network_reproduces_the_photo(prediction, tune):
    denoiser, latent, conditioning = Gaussian(prediction, spread=0.02), photo(), prompt()
    network = denoiser.network
    assert (mean_of(network, conditioning) - latent).abs().max() > 1

    # Two tokens to move: an update of rank two can move them anywhere.
    rate = TUNING["learning_rate"] if tune.startswith("LoRA") else 0.02
    update, history = fine_tune(denoiser, latent, conditioning, tune=tune, rank=2, **TUNING | {"learning_rate": rate})

    layers = {key.split(".")[-2] for key in update if "lora" not in key}
    assert (
        layers
        == {
            "LoRA": {"attn"},
            "LoRA all layers": {"attn", "mlp"},
            "attention": {"attn"},
            "all weights": {"attn", "mlp", "final", "pool"},
        }[tune]
    )
    weights = merged(network.state_dict(), update)
    reproduced = functional_call(network, weights, (conditioning["cross_attn"], torch.zeros(1, 4)))
    torch.testing.assert_close(reproduced, latent, **CLOSE)
    assert len(history.losses) == TUNING["steps"]


def test_after_both_stages_eta_leads_from_the_photo_to_what_the_target_text_says():
    denoiser, latent, target = Gaussian("v", spread=0.02), photo(), prompt()
    optimized, _ = optimize_embedding(denoiser, latent, target, steps=20, learning_rate=0.1)
    update, _ = fine_tune(denoiser, latent, optimized, **TUNING)
    weights = merged(denoiser.network.state_dict(), update)

    def edited(eta):
        tokens = interpolate(optimized, target, eta)["cross_attn"]
        return functional_call(denoiser.network, weights, (tokens, torch.zeros(1, 4)))

    torch.testing.assert_close(edited(0.0), latent, **CLOSE)
    # The mean is linear in the embedding, so eta moves it along a straight line.
    torch.testing.assert_close(edited(0.7), 0.3 * edited(0.0) + 0.7 * edited(1.0), rtol=1e-4, atol=1e-4)
    assert torch.dist(edited(1.0), latent) > 1


@pytest.mark.parametrize("tune", TUNE_MODES)
def test_tuning_leaves_the_network_untouched(tune):
    denoiser = Gaussian()
    before = fingerprint(denoiser.network)
    fine_tune(denoiser, photo(), prompt(), tune=tune, steps=3)
    assert fingerprint(denoiser.network) == before
    assert all(weight.grad is None for weight in denoiser.network.parameters())


def test_checkpointing_trains_the_same():
    plain, saved = (
        fine_tune(Gaussian("flow"), photo(), prompt(), steps=5, gradient_checkpointing=choice)[0]
        for choice in (False, True)
    )
    assert all(torch.equal(plain[key], saved[key]) for key in plain)


def test_checkpointing_optimizes_the_same_and_says_what_it_cost():
    (plain, first), (saved, second) = (
        optimize_embedding(Gaussian("flow"), photo(), prompt(), steps=5, gradient_checkpointing=choice)
        for choice in (False, True)
    )
    assert all(torch.equal(plain[key], saved[key]) for key in plain)
    assert second.forward_equivalents == first.forward_equivalents + 5 * 2  # each sample's second forward


def test_an_unknown_choice_of_what_to_tune_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"'bias'.*LoRA, LoRA all layers, attention, all weights"):
        fine_tune(Gaussian(), photo(), prompt(), tune="bias")
