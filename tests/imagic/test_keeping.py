"""What of a photo an edit may change: known in closed form where a model's prediction is the mean of its text."""

import itertools

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from imagic.keeping import (
    FAINTEST,
    STRUCTURE,
    edited_latent,
    kept_prediction,
    renewed,
    reordered,
    share_of_noise,
    structure_of,
)


def test_without_a_difference_the_photo_stays_bit_for_bit():
    latent, explained = torch.randn(1, 4, 8, 8), torch.randn(3, 4, 8, 8)
    edit = edited_latent(latent, explained, explained.clone(), torch.ones(1, 1, 8, 8))
    assert torch.equal(edit, latent.expand(3, -1, -1, -1))


def test_only_the_region_takes_on_the_difference():
    latent, region = torch.randn(1, 2, 4, 4), torch.zeros(1, 1, 4, 4)
    region[..., 0, 0], region[..., 1, 1] = 1, 0.5
    edit = edited_latent(latent, latent + 2.0, latent, region)
    torch.testing.assert_close(edit - latent, 2 * region.expand(1, 2, 4, 4))
    assert torch.equal(edit[..., 2:, :], latent[..., 2:, :])


@given(st.integers(0, 2**32), st.floats(0, 3), st.floats(1e-2, 1e2))
def test_the_more_the_edit_changes_the_less_is_left_of_what_the_model_could_not_explain(seed, share, scale):
    """All of it without a change, half of it at half of the photo's own contrast, none of it at all of that."""
    generator = torch.Generator().manual_seed(seed)
    latent = scale * torch.randn(1, 4, 6, 6, generator=generator)
    explained = latent + scale * torch.empty_like(latent).uniform_(-0.5, 0.5, generator=generator)
    # The same everywhere, so its size needs no neighbours.
    change = torch.full_like(latent, share * float(latent.std()))
    edit = edited_latent(latent, explained + change, explained, torch.ones(1, 1, 6, 6))
    left = max(0.0, 1 - 2 * share**2)
    torch.testing.assert_close(edit, explained + change + left * (latent - explained), rtol=1e-4, atol=1e-4 * scale)


def test_where_the_model_explains_nothing_a_small_change_lets_go_of_little():
    """As random networks do at high noise levels: what is not explained dwarfs the photo."""
    latent, everywhere = torch.randn(1, 4, 6, 6), torch.ones(1, 1, 6, 6)
    explained = latent - 1000
    edit = edited_latent(latent, explained + 1, explained, everywhere)
    torch.testing.assert_close(edit, latent + 1 - 2 * 1000 / 1000**2, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 4, 12, 12), (2, 16, 1, 12, 12)])
def test_each_place_of_each_sample_lets_go_by_its_own_change(shape):
    latent, explained = torch.randn(1, *shape[1:]), torch.zeros(1, *shape[1:]).expand(shape)
    change = torch.zeros(shape)
    change[0, ..., :6, :] = 10  # of the first one the upper half, of the second one nothing
    edit = edited_latent(latent, explained + change, explained, torch.ones(1, *[1] * (len(shape) - 3), 12, 12))
    torch.testing.assert_close(edit[0, ..., :5, :], change[0, ..., :5, :])
    assert torch.equal(edit[0, ..., 7:, :], latent[0, ..., 7:, :])
    assert torch.equal(edit[1], latent[0])


def test_rounding_at_eta_zero_stays_rounding():
    """Twenty steps of a model that explains the photo badly, and every prediction a thousandth off."""
    generator = torch.Generator().manual_seed(0)
    latent, explained = (torch.randn(1, 4, 16, 16, generator=generator) for _ in range(2))
    state = latent
    for _ in range(20):
        edited = explained + (state - latent) + 1e-3 * torch.randn(latent.shape, generator=generator)
        state = edited_latent(latent, edited, explained, torch.ones(1, 1, 16, 16))
    assert (state - latent).square().mean().sqrt() < 0.006  # the square root of twenty, and a fifth


def test_an_even_photo_is_edited_and_kept():
    latent, edited = torch.zeros(1, 4, 6, 6), torch.randn(1, 4, 6, 6)
    everywhere = torch.ones(1, 1, 6, 6)
    assert torch.equal(edited_latent(latent, edited, edited / 2, everywhere), edited)
    assert torch.equal(edited_latent(latent, edited, edited, everywhere), latent)


def test_each_step_has_noise_of_its_own_made_of_the_same_numbers():
    noise = torch.randn((2, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    steps = [reordered(noise, step) for step in range(4)]
    assert steps[0] is noise
    for one, other in itertools.combinations(steps, 2):
        assert torch.equal(one.flatten(1).sort().values, other.flatten(1).sort().values)
        # Of 1,024 independent pairs of numbers: 0.15 is nearly five deviations.
        assert (one * other).flatten(1).mean(1).abs().max() < 0.15
    assert torch.equal(steps[2], reordered(noise, 2))
    assert torch.equal(steps[2][:1], reordered(noise[:1], 2))


@given(st.integers(0, 2**32), st.floats(1e-3, 1e3), st.sampled_from([(7, 9), (8, 8), (1, 5)]))
def test_the_structure_of_a_photo_has_its_phases_and_the_spectrum_of_white_noise(seed, scale, sides):
    photo = scale * torch.randn((1, 1, 2, *sides), generator=torch.Generator().manual_seed(seed))
    structure = structure_of(photo)
    assume(structure.abs().max() < 3)
    before, after = (torch.fft.fft2(latent, norm="ortho") for latent in (photo, structure))
    size = before.abs()
    torch.testing.assert_close(after * size.clamp_min(FAINTEST * photo.std()), before, rtol=1e-3, atol=1e-3 * scale)
    white = size > FAINTEST * photo.std()
    torch.testing.assert_close(after.abs()[white], torch.ones_like(size[white]), rtol=1e-3, atol=1e-3)


def test_structure_moves_with_the_photo_and_knows_no_unit():
    photo = torch.randn((1, 4, 16, 24), generator=torch.Generator().manual_seed(0))
    structure = structure_of(photo)
    torch.testing.assert_close(structure_of(photo.roll((3, 5), (-2, -1))), structure.roll((3, 5), (-2, -1)))
    torch.testing.assert_close(structure_of(-1e3 * photo), -structure)


@pytest.mark.parametrize("sides", [(7, 12), (60, 104)])
def test_what_is_even_but_for_rounding_has_no_structure(sides):
    assert structure_of(torch.zeros(1, 4, *sides)).abs().max() == 0
    edge = torch.full((1, 4, *sides), 3.0)
    edge[..., 5:] = 1
    # All rows are alike, so of the spectrum's rows all but the first are rounding.
    assert structure_of(edge).square().mean() <= 1.001 / sides[0]


def test_a_photo_of_few_lines_makes_no_spikes():
    """A dot has all frequencies alike, so its phases are a dot as well, of 64 deviations."""
    photo, noise = torch.zeros(1, 4, 64, 64), torch.randn((1, 4, 64, 64), generator=torch.Generator().manual_seed(0))
    photo[..., 20, 30] = 1
    region = torch.zeros(1, 1, 64, 64)
    assert structure_of(photo).abs().max() == 3
    assert (renewed(noise, photo, region, 1) - reordered(noise, 1)).abs().max() < 1
    assert float(renewed(noise, photo, region, 1).std()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("kept", "share"), [(0.0, 0.0), (0.5, STRUCTURE / 2), (1.0, STRUCTURE)])
def test_the_noise_has_as_much_of_the_photos_structure_as_the_photo_stays(kept, share):
    generator = torch.Generator().manual_seed(0)
    photo, noise = (torch.randn((count, 4, 64, 64), generator=generator) for count in (1, 3))
    region = (torch.arange(64) >= 64 * kept).float().expand(1, 1, 64, 64)
    renewal, structure = renewed(noise, photo, region, 2), structure_of(photo)
    both = reordered(noise, 2) + share * structure
    torch.testing.assert_close(renewal, both / (1 + share**2 * structure.square().mean()).sqrt())
    assert float(renewal.std()) == pytest.approx(1, abs=0.02)  # 49,152 numbers: six deviations
    assert renewed(noise, photo, region, 0) is noise


SHAPE = (2, 4, 8, 8)


def adding(clean, noise):
    """As rectified flow has it at 3 parts of noise to 1 of signal."""
    return 0.25 * clean + 0.75 * noise


def test_a_sample_that_is_where_the_photo_is_gives_the_photo_bit_for_bit():
    photo, noise = torch.randn(1, *SHAPE[1:]), torch.randn(SHAPE)
    noisy, region = adding(photo.expand(SHAPE), noise), torch.ones(1, 1, 8, 8)
    region[..., :3] = 0

    def predict(*views):
        return tuple(view.sin() for view in views)

    for step in range(3):
        clean = kept_prediction(predict, noisy, noisy.clone(), photo, region, adding, step)
        assert torch.equal(clean, photo.expand(SHAPE))


def test_a_soft_region_says_when_a_position_is_let_go():
    region = torch.tensor([0.0, 0.2, 0.3, 0.7, 0.8, 1.0]).view(1, 1, 1, 6)
    photo, noise = torch.randn(1, 4, 1, 6), torch.randn(2, 4, 1, 6)

    def free(scale_of_clean: float, scale_of_noise: float) -> list[float]:
        def add_noise(clean, noise):
            return scale_of_clean * clean + scale_of_noise * noise

        noisy = add_noise(photo.expand(2, -1, -1, -1), noise)
        clean = kept_prediction(lambda sample, source: (photo + 9, photo), noisy, noisy, photo, region, add_noise, 1)
        assert torch.equal(clean[0], clean[1])
        return ((clean[0] - photo[0]).mean((0, 1)) / 9).round(decimals=4).tolist()

    assert free(0.0, 1.0) == [0, 0, 0, 0, 0, 1]
    assert free(0.25, 0.75) == free(1, 3) == [0, 0, 0, 0.5, 1, 1]  # a flow and a diffusion at the same ratio
    assert free(0.75, 0.25) == free(4, 4 / 3) == [0, 0, 0.5, 1, 1, 1]
    assert free(1.0, 0.0) == [0, 1, 1, 1, 1, 1]


def test_the_share_of_noise_is_each_samples_own():
    sigma = torch.tensor([0.25, 1.0]).view(2, 1, 1, 1, 1)
    share = share_of_noise(torch.randn(2, 4, 1, 8, 8), lambda clean, noise: (1 - sigma) * clean + sigma * noise)
    assert torch.equal(share, sigma)


def test_the_model_sees_sample_and_photo_through_the_same_other_noise():
    photo, noise, change = torch.randn(1, *SHAPE[1:]), torch.randn(SHAPE), torch.randn(SHAPE)
    seen = []

    def predict(sample, source):
        seen.append((sample, source))
        return photo + change, photo.expand(SHAPE)

    noisy_photo, region = adding(photo.expand(SHAPE), noise), torch.ones(1, 1, 8, 8)
    region[..., :3] = 0
    for step in range(3):
        args = (noisy_photo + 0.25 * change, noisy_photo, photo, region, adding, step)
        clean = kept_prediction(predict, *args)
        torch.testing.assert_close(clean[..., 3:], (photo + change)[..., 3:])
        assert torch.equal(clean[..., :3], photo.expand(SHAPE)[..., :3])
        sample, source = seen[step]
        torch.testing.assert_close(source, adding(photo.expand(SHAPE), renewed(noise, photo, region, step)))
        torch.testing.assert_close(sample - source, 0.25 * change)


def test_a_level_without_noise_shows_the_sample_as_it_is():
    photo, sample = torch.randn(1, *SHAPE[1:]), torch.randn(SHAPE)

    def predict(sample, source):
        return sample, source

    region = torch.ones(1, 1, 8, 8)
    region[..., :3] = 0
    clean = kept_prediction(
        predict, sample, photo.expand(SHAPE), photo, region, lambda clean, noise: clean + 0 * noise, 3
    )
    torch.testing.assert_close(clean[..., 3:], sample[..., 3:])
    assert torch.equal(clean[..., :3], photo.expand(SHAPE)[..., :3])
