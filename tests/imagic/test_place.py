"""What an edit of the whole picture keeps, where the predictions are made up."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from imagic.place import place_region, silent, two_kinds
from imagic.region import FORWARD_EQUIVALENTS, edit_region

from .gaussian import TOKENS, WIDTH, Gaussian

SUBJECT = (..., slice(3, 13), slice(3, 13))  # in a latent of 16 x 16
STRONGEST_INSIDE = torch.linspace(-2, 2, 10).pow(2).neg().exp().outer(torch.linspace(-2, 2, 10).pow(2).neg().exp())
INSIDE, OUTSIDE = (..., slice(6, 10), slice(6, 10)), (..., slice(0, 2), slice(None))


def predictions(in_subject: float, in_place: float, said: tuple[float, float] = (2.0, 0.5), noise: float = 0.1):
    """Under the target, the optimized embedding and no text, at three levels.

    The embedding says `said` of subject and place, most in the subject's middle; the target changes them by the
    other two.
    """
    generator = torch.Generator().manual_seed(0)
    untold = torch.randn((3, 4, 16, 16), generator=generator)
    texts, change = torch.full_like(untold, said[1]), torch.full_like(untold, in_place)
    texts[SUBJECT], change[SUBJECT] = said[0] * (1 + 4 * STRONGEST_INSIDE), in_subject
    there = untold + texts * (1 + noise * torch.randn((3, 4, 16, 16), generator=generator))
    return there + change, there, untold


def test_in_another_place_the_subject_is_kept():
    region = place_region(*predictions(in_subject=0.05, in_place=0.5))
    assert region.shape == (1, 1, 16, 16)
    assert region[INSIDE].mean() < 0.6
    assert (region[OUTSIDE] == 1).all()


def test_another_style_changes_the_subject_too():
    assert (place_region(*predictions(in_subject=6.0, in_place=0.5)) == 1).all()


def test_where_all_is_alike_all_may_change():
    alike = torch.ones(3, 4, 8, 8)
    assert (place_region(2 * alike, alike, 0 * alike) == 1).all()
    assert (place_region(alike, alike, alike) == 1).all()


@given(st.floats(1e-3, 1e3))
def test_a_place_knows_no_scale(scale):
    texts = predictions(in_subject=0.05, in_place=0.5)
    scaled = place_region(*(scale * text for text in texts))
    torch.testing.assert_close(scaled, place_region(*texts), rtol=0, atol=1e-3)


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=40))
def test_two_kinds_are_parted_where_they_differ_most(values):
    """Against every way to part them: the spread within both is the least."""
    smaller, larger = two_kinds(torch.tensor(values, dtype=torch.float32))
    values = torch.tensor(sorted(values), dtype=torch.float64)

    def within(cut: int) -> float:
        return sum(float((part - part.mean()).square().sum()) for part in (values[:cut], values[cut:]))

    spreads = {cut: within(cut) for cut in range(1, len(values))}
    best = [
        (float(values[:cut].mean()), float(values[cut:].mean()))
        for cut, spread in spreads.items()
        if spread <= min(spreads.values()) + 1e-6
    ]
    assert any(abs(a - smaller) + abs(b - larger) < 1e-3 for a, b in best)


def test_one_position_is_of_one_kind():
    assert two_kinds(torch.tensor([[3.0]])) == (3, 3)


def test_no_text_is_zeros_and_keeps_what_is_no_text():
    text = {"cross_attn": torch.randn(1, 3, 4), "attention_mask": torch.ones(1, 3), "ids": torch.arange(3)}
    nothing = silent(text)
    assert not nothing["cross_attn"].any()
    assert nothing["attention_mask"] is text["attention_mask"]
    assert nothing["ids"] is text["ids"]


class Scene(nn.Module):
    """The mean latent: the text's first number in its middle, and its second around that."""

    def __init__(self):
        super().__init__()
        self.final, self.pool = nn.Linear(1, 1), nn.Linear(1, 1)  # for their dtypes

    def forward(self, tokens, pooled):
        subject, place = (tokens[:, 0, number].view(-1, 1, 1, 1) for number in (0, 1))
        means = place * torch.ones(len(tokens), 2, 16, 16)
        means[SUBJECT] = subject * (1 + 4 * STRONGEST_INSIDE)
        return means


def text(subject: float, place: float) -> dict[str, torch.Tensor]:
    tokens = torch.zeros(1, TOKENS, WIDTH)
    tokens[:, 0, 0], tokens[:, 0, 1] = subject, place
    return {"cross_attn": tokens}


@pytest.mark.parametrize("prediction", ["epsilon", "v", "flow"])
@pytest.mark.parametrize(
    ("target", "kept", "evaluations"),
    [
        (text(1.9, -0.5), True, 1.5 * FORWARD_EQUIVALENTS),  # another place
        (text(0.5, -0.5), False, 1.5 * FORWARD_EQUIVALENTS),  # another style
        (text(2.0, -0.5), True, FORWARD_EQUIVALENTS),  # nothing but what is around the subject
    ],
)
def test_the_model_tells_another_place_from_another_style(prediction, target, kept, evaluations):
    photo = text(2, 0.5)
    # A model that hardly looks at the latent, and so explains of the photo what its text says.
    denoiser = Gaussian(prediction, spread=1e-6, network=Scene())
    latent = Scene()(photo["cross_attn"], None) + 0.3 * torch.randn(1, 2, 16, 16)
    seen = []
    region = edit_region(denoiser, latent, photo, target, on_evaluation=seen.append)
    assert sum(seen) == evaluations
    assert (region[OUTSIDE] == 1).all()
    assert bool(region[INSIDE].mean() < 0.6) == kept
    assert (edit_region(denoiser, latent, photo, target, threshold=0) == 1).all()
