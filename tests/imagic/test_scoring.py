"""Ranking edits, in a world where alignment is known in closed form."""

import pytest
import torch

from imagic.levels import standard_levels
from imagic.scoring import CLEANEST, nearer_the_text, rank, ranked, same_places, structure

from .gaussian import Gaussian, mean_of, photo, prompt


@pytest.fixture(autouse=True)
def as_the_host_runs_nodes():
    with torch.inference_mode():
        yield


def candidates(denoiser, source, *ways: float):
    """The photo moved towards the mean of the target, in units of the difference between both texts' means."""
    way = mean_of(denoiser.network, prompt(1)) - mean_of(denoiser.network, prompt(0))
    return torch.cat([source + share * way for share in ways])


@pytest.mark.parametrize("prediction", ["epsilon", "v", "flow"])
def test_alignment_is_the_way_gone_towards_the_target(prediction):
    """Noise and photo cancel: what is left is 2 (c - photo) (m_target - m_optimized), weighted over the levels."""
    denoiser, source, samples = Gaussian(prediction), photo(), 4
    edits = torch.cat([candidates(denoiser, source, 0.0, 0.5, 1.0), photo(7)])
    ranking = rank(denoiser, source, edits, prompt(0), prompt(1), samples=samples)
    sigma = standard_levels(denoiser, CLEANEST + (1 - CLEANEST) * (torch.arange(samples) + 0.5) / samples)
    signal, variance = denoiser.signal(sigma), denoiser.spread**2
    shrink = 1 - variance * signal**2 / (variance * signal**2 + sigma**2)
    weight = (denoiser.loss_weight(sigma) * shrink**2).mean()
    way = mean_of(denoiser.network, prompt(1)) - mean_of(denoiser.network, prompt(0))
    expected = 2 * weight * ((edits - source) * way).flatten(1).mean(1)
    torch.testing.assert_close(ranking.alignment, expected, atol=1e-5, rtol=1e-4)


def test_the_most_faithful_of_those_that_show_the_edit_wins():
    denoiser, source = Gaussian(), photo()
    ranking = rank(
        denoiser, source, candidates(denoiser, source, 0.0, 0.5, 0.98, 1.0, 0.96, 0.93), prompt(0), prompt(1)
    )
    assert ranking.order == [4, 2, 3, 5, 1, 0]  # 0.93 of the way does not show it yet
    assert ranking.forward_equivalents == 2 * 4 * 7


def test_where_nothing_moves_towards_the_target_the_least_bad_wins():
    denoiser, source = Gaussian(), photo()
    ranking = rank(denoiser, source, candidates(denoiser, source, -0.5, -0.2, -1.0), prompt(0), prompt(1))
    assert ranking.order == [1, 0, 2]


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_scores_that_are_none_have_no_winner(broken):
    good, bad = torch.tensor([0.1, 0.2]), torch.tensor([0.1, broken])
    with pytest.raises(ValueError, match=r"^The pictures' alignment with the text holds NaN or .*\.$"):
        ranked(bad, good)
    with pytest.raises(ValueError, match=r"^The pictures' fidelity to the photo holds NaN or .*\.$"):
        ranked(good, bad)


def test_the_same_pictures_get_the_same_scores_and_leave_no_trace():
    denoiser, source = Gaussian(), photo()
    edits, text = candidates(denoiser, source, 0.5, 1.0), prompt(1)
    before = text["cross_attn"].clone()
    first, again = (rank(denoiser, source, edits, prompt(0), text) for _ in range(2))
    assert torch.equal(first.alignment, again.alignment)
    assert torch.equal(text["cross_attn"], before)


def test_cancelling_ends_it_after_the_picture():
    pictures = []

    def cancel():
        pictures.append(1)
        if len(pictures) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank(Gaussian(), photo(), photo().repeat(5, 1, 1, 1), prompt(0), prompt(1), on_picture=cancel)
    assert len(pictures) == 2


def test_structure_falls_when_things_move_grow_or_vanish():
    source = torch.zeros(1, 4, 16, 16)
    source[..., 4:10, 4:10] = 1
    moved, grown, gone = source.roll(3, -1), source.clone(), torch.randn(source.shape) * 0.1
    grown[..., 2:12, 2:12] = 1
    brighter = source * 0.8 + 0.3
    same, light, shift, zoom, lost = structure(source, torch.cat([source, brighter, moved, grown, gone])).tolist()
    assert same == pytest.approx(1)
    assert light == pytest.approx(1)
    assert max(shift, zoom, lost) < 0.8
    assert lost < min(shift, zoom)


def test_the_text_is_nearer_by_a_difference_of_cosines():
    """In the plane: the photo at 90 degrees from the text, candidates at 60 and 0, whatever their lengths."""
    text, source = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    edits = torch.tensor([[1.0, 3**0.5], [5.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(nearer_the_text(source, edits, text), torch.tensor([0.5, 1.0, 0.0]))


def test_patches_tell_what_is_still_in_its_place():
    """Sixteen different patches: all as they were, a quarter of them another, all of them one place on."""
    source = torch.eye(16)[None]
    changed = source.clone()
    changed[:, :4] = -changed[:, :4]
    edits = torch.cat([3 * source, changed, source.roll(1, 1)])
    torch.testing.assert_close(same_places(source, edits), torch.tensor([1.0, 0.5, 0.0]))


def test_ranking_takes_any_two_measures():
    ranking = ranked(torch.tensor([0.0, 0.5, 0.49, 0.48]), torch.tensor([1.0, 0.2, 0.6, 0.5]))
    assert ranking.order == [2, 3, 1, 0]
    assert ranking.forward_equivalents == 0
