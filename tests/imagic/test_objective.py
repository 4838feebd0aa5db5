"""The loss has its closed form in a Gaussian world, and what is drawn for it is spread and repeated as promised."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imagic import objective
from imagic.denoiser import stratified_quantiles
from imagic.levels import standard_levels
from imagic.objective import NoiseSampler, denoising_loss, samples_per_forward
from imagic.validation import FOLLOW_EVERY, Validation

from .gaussian import SHAPE, Gaussian, mean_of, photo, prompt

PREDICTIONS = ["epsilon", "v", "flow"]
predictions = st.sampled_from(PREDICTIONS)
quantiles = st.floats(0.02, 0.98)


@given(predictions, quantiles, st.integers(0, 1000))
def test_the_loss_is_the_squared_error_of_what_the_network_predicts(prediction, quantile, seed):
    denoiser, latent, conditioning = Gaussian(prediction), photo(seed), prompt(seed)
    noise = torch.randn(3, *SHAPE[1:], generator=torch.Generator().manual_seed(seed))
    sigma = denoiser.sigma(torch.tensor([quantile / 2, quantile, 0.98]))
    out = denoiser.predict(denoiser.add_noise(latent, noise, sigma), sigma, conditioning)
    expected = (out - denoiser.target(latent, noise, sigma)).square().mean((1, 2, 3))

    losses, denoised = denoising_loss(denoiser, latent, conditioning, noise, sigma)

    # Relative to the target's own size: at low levels the error is a small difference of larger numbers.
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-4)
    assert denoised.shape == noise.shape


@given(predictions, quantiles, st.floats(0.2, 2), st.integers(0, 1000))
def test_the_expected_loss_of_the_best_denoiser_has_its_closed_form(prediction, quantile, spread, seed):
    denoiser, latent, conditioning = Gaussian(prediction, spread), photo(seed), prompt(seed)
    sigma = denoiser.sigma(torch.tensor([quantile], dtype=torch.float64))
    # Noise of unit size and its opposite: their mean is the expectation, exactly.
    signs = torch.randn(1, *SHAPE[1:], generator=torch.Generator().manual_seed(seed)).sign().double()
    losses, _ = denoising_loss(denoiser, latent, conditioning, torch.cat([signs, -signs]), sigma.expand(2))

    distance = (mean_of(denoiser.network, conditioning) - latent).square().mean()
    closed_form = {
        "epsilon": (sigma**2 * distance + spread**4) / (spread**2 + sigma**2) ** 2,
        "v": (1 + sigma**2) * (sigma**2 * distance + spread**4) / (spread**2 + sigma**2) ** 2,
        "flow": (sigma**2 * distance + (1 - sigma) ** 2 * spread**4) / ((1 - sigma) ** 2 * spread**2 + sigma**2) ** 2,
    }[prediction]
    torch.testing.assert_close(losses.mean().double(), closed_form.squeeze(), rtol=5e-3, atol=1e-5)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_model_that_knows_the_photo_alone_has_no_loss(prediction):
    denoiser, conditioning = Gaussian(prediction, spread=0), prompt()
    latent = mean_of(denoiser.network, conditioning)
    sigma = denoiser.sigma(torch.tensor([0.1, 0.5, 0.9]))
    losses, denoised = denoising_loss(denoiser, latent, conditioning, torch.randn(3, *SHAPE[1:]), sigma)
    torch.testing.assert_close(losses, torch.zeros(3), rtol=0, atol=1e-8)
    torch.testing.assert_close(denoised, latent.expand(3, -1, -1, -1), rtol=0, atol=1e-5)


@given(st.integers(1, 64), st.integers(0, 1000))
def test_one_quantile_falls_into_each_stratum(count, seed):
    quantiles = stratified_quantiles(count, torch.Generator().manual_seed(seed))
    assert (quantiles * count).floor().tolist() == list(range(count))


@pytest.mark.parametrize("extreme", [0.0, 1 - 2**-24])
def test_no_quantile_reaches_an_end_of_the_schedule(extreme, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda count, generator: torch.full((count,), extreme))
    quantiles = stratified_quantiles(8, torch.Generator())
    assert quantiles.min() > 0
    assert quantiles.max() < 1


def test_quantiles_are_uniform_within_their_stratum():
    generator = torch.Generator().manual_seed(0)
    within = torch.stack([stratified_quantiles(4, generator) for _ in range(4000)]) * 4 - torch.arange(4)
    # Mean 1/2 and variance 1/12 of a uniform; five standard errors.
    torch.testing.assert_close(within.mean(0), torch.full((4,), 0.5), rtol=0, atol=5 * (1 / 12 / 4000) ** 0.5)
    torch.testing.assert_close(within.var(0), torch.full((4,), 1 / 12), rtol=0, atol=5 * (1 / 180 / 4000) ** 0.5)
    assert torch.corrcoef(within.T).triu(1).abs().max() < 5 / 4000**0.5


def test_a_seed_fixes_every_draw_and_no_two_draws_are_alike():
    denoiser = Gaussian()
    one, same, other = (NoiseSampler(photo(), 4, seed) for seed in (1, 1, 2))
    draws = [one.draw(denoiser), one.draw(denoiser)]
    for drawn in draws:
        again = same.draw(denoiser)
        assert torch.equal(drawn[0], again[0])
        assert torch.equal(drawn[1], again[1])
    assert not torch.equal(draws[0][0], draws[1][0])
    assert not torch.equal(draws[0][0], other.draw(denoiser)[0])


def test_a_draw_is_standard_normal_noise_with_levels_from_clean_to_noisy():
    noise, sigma = NoiseSampler(torch.zeros(1, 4, 64, 64), 8, 0).draw(Gaussian())
    assert noise.shape == (8, 4, 64, 64)
    assert sigma.shape == (8,)
    assert sigma.diff().min() > 0
    torch.testing.assert_close(noise.mean((1, 2, 3)), torch.zeros(8), rtol=0, atol=0.05)
    torch.testing.assert_close(noise.std((1, 2, 3)), torch.ones(8), rtol=0, atol=0.05)


def test_drawing_leaves_the_global_random_state_alone():
    denoiser = Gaussian()
    before = torch.get_rng_state()
    NoiseSampler(photo(), 4, 0).draw(denoiser)
    Validation(denoiser, photo())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("size", [1, 3, 5, 100])
def test_the_validation_loss_does_not_depend_on_how_it_is_split(size, monkeypatch):
    denoiser, latent = Gaussian("flow"), photo()
    whole = Validation(denoiser, latent).loss(denoiser, prompt())
    monkeypatch.setattr(objective, "POSITIONS_PER_FORWARD", size * latent[0, 0].numel())
    assert Validation(denoiser, latent).loss(denoiser, prompt()) == pytest.approx(whole, rel=1e-6)


def test_large_latents_go_through_the_network_one_at_a_time():
    sizes = {side: samples_per_forward(torch.zeros(1, 4, side, side)) for side in (16, 64, 128, 256)}
    assert sizes == {16: 32, 64: 2, 128: 1, 256: 1}


def test_the_validation_levels_are_the_midpoints_of_equal_strata_of_the_standard_levels():
    denoiser = Gaussian("flow")
    expected = standard_levels(denoiser, torch.tensor([0.125, 0.375, 0.625, 0.875]))
    assert torch.equal(Validation(denoiser, photo(), pairs=4).sigma, expected)


def test_the_validation_loss_is_the_mean_over_its_pairs():
    denoiser, latent = Gaussian("v"), photo()
    validation = Validation(denoiser, latent)
    pairs = zip(validation.noise.split(1), validation.sigma.split(1), strict=True)
    losses = [denoising_loss(denoiser, latent, prompt(), noise, sigma)[0] for noise, sigma in pairs]
    assert validation.loss(denoiser, prompt()) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-6)


def test_following_it_ends_at_its_true_value_and_costs_two_percent():
    denoiser, latent = Gaussian(), photo()
    validation = Validation(denoiser, latent)
    before = validation.loss(denoiser, prompt(0))
    after = Validation(denoiser, latent).loss(denoiser, prompt(5))
    assert after != pytest.approx(before, rel=0.01)
    # Nothing is due yet.
    assert validation.follow(denoiser, prompt(5), FOLLOW_EVERY - 1) == pytest.approx(before)
    assert validation.evaluations == validation.pairs
    # Then each pair in turn, and when all were looked at it is the loss itself.
    seen = [validation.follow(denoiser, prompt(5), FOLLOW_EVERY * count) for count in range(1, validation.pairs + 1)]
    assert seen[-1] == pytest.approx(after, rel=1e-5)
    assert validation.evaluations == 2 * validation.pairs
    assert all(abs(value - after) < abs(before - after) for value in seen[2:])


def test_following_it_sees_nothing_where_nothing_changed():
    denoiser, latent = Gaussian(), photo()
    validation = Validation(denoiser, latent)
    before = validation.loss(denoiser, prompt())
    for trained in range(0, 20 * FOLLOW_EVERY, 10):
        assert validation.follow(denoiser, prompt(), trained) == pytest.approx(before, rel=1e-5)
