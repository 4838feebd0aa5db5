"""How a run repeats, ends, fails and counts its cost."""

from itertools import pairwise

import pytest
import torch

from imagic import NonFiniteLoss, fine_tune, objective, optimize_embedding
from imagic.finetuning import TUNE_MODES
from imagic.training import train

from .gaussian import Gaussian, fingerprint, photo, prompt


def embedding(seed: int = 0, **options) -> tuple[dict[str, torch.Tensor], list[float]]:
    result, history = optimize_embedding(Gaussian(), photo(), prompt(), steps=4, seed=seed, **options)
    return result, history.losses


def tuned(tune: str):
    def run(seed: int = 0, **options) -> tuple[dict[str, torch.Tensor], list[float]]:
        result, history = fine_tune(Gaussian(), photo(), prompt(), tune=tune, steps=4, seed=seed, **options)
        return result, history.losses

    return run


RUNS = {"embedding": embedding, **{tune: tuned(tune) for tune in TUNE_MODES}}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_seed_fixes_every_byte_and_another_seed_gives_another_result(run):
    (one, losses), (same, same_losses), (other, other_losses) = run(seed=1), run(seed=1), run(seed=2)
    assert losses == same_losses
    assert losses != other_losses
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_every_step_is_shown_as_it_ends(run):
    seen = []
    _, losses = run(on_step=seen.append)
    assert [(step.number, step.total) for step in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [step.loss for step in seen] == losses
    assert all(step.denoised.shape == photo().shape and not step.denoised.requires_grad for step in seen)


def test_a_step_shows_the_reconstruction_from_the_middle_level():
    batch = torch.arange(5.0).view(5, 1, 1, 1)
    weight = torch.zeros(1, requires_grad=True)
    (step,) = train([weight], lambda: [(weight.expand(5) + 1, batch * (weight + 1))], 5, 1, 0.1)
    assert torch.equal(step.denoised, batch[2:3])


def test_the_mean_loss_is_minimized_by_adam():
    """Whatever the gradient's size, Adam's first step is the learning rate against its sign."""
    weights = [torch.tensor([2.0, -3.0], requires_grad=True), torch.tensor([5.0], requires_grad=True)]
    losses = lambda: torch.stack([weights[0].square().sum(), weights[1].square().sum() * 1e4])  # noqa: E731
    (step,) = train(weights, lambda: [(losses(), torch.zeros(2, 1))], 2, 1, 0.25)
    assert step.loss == pytest.approx((13 + 25e4) / 2)
    torch.testing.assert_close(weights[0].detach(), torch.tensor([1.75, -2.75]))
    torch.testing.assert_close(weights[1].detach(), torch.tensor([4.75]))


def test_each_parameter_s_learning_rate_counts_in_its_own_unit():
    """At every step: under gradients that never change, however large, each of Adam's is the rate times the unit."""
    weights = [torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)]
    losses = lambda: torch.stack([weights[0].sum(), weights[1].sum() * 1e4])  # noqa: E731
    list(train(weights, lambda: [(losses(), torch.zeros(2, 1))], 2, 4, 0.1, "constant", units=[1e-3, 20.0]))
    torch.testing.assert_close(weights[0].detach(), torch.tensor([-4e-4, -4e-4]))
    torch.testing.assert_close(weights[1].detach(), torch.tensor([-8.0]))


@pytest.mark.parametrize(("schedule", "shares"), [("constant", [1, 1, 1, 1]), ("cosine", [1, 0.853553, 0.5, 0.146447])])
def test_the_learning_rate_stays_or_falls_to_zero_along_half_a_cosine(schedule, shares):
    """Under a gradient that never changes, each of Adam's steps is the learning rate at that step."""
    weight, path = torch.zeros(1, requires_grad=True), [0.0]
    for _ in train([weight], lambda: [(weight, torch.zeros(1, 1))], 1, 4, 0.1, schedule):
        path.append(float(weight.detach()))
    assert [before - after for before, after in pairwise(path)] == pytest.approx([0.1 * s for s in shares], rel=1e-4)


@pytest.mark.parametrize("stage", [optimize_embedding, fine_tune])
def test_an_unknown_schedule_is_refused_with_the_choices(stage):
    with pytest.raises(ValueError, match=r"'linear': choose one of cosine, constant"):
        stage(Gaussian(), photo(), prompt(), schedule="linear")


@pytest.mark.parametrize("run", ["embedding", *TUNE_MODES])
def test_samples_that_do_not_fit_into_one_forward_give_the_same_result(run, monkeypatch):
    stage, options = (optimize_embedding, {}) if run == "embedding" else (fine_tune, {"tune": run})
    results = []
    for samples_per_forward in (8, 3, 1):
        monkeypatch.setattr(objective, "POSITIONS_PER_FORWARD", samples_per_forward * photo()[0, 0].numel())
        result, _ = stage(Gaussian("flow"), photo(), prompt(), steps=3, samples=8, **options)
        results.append(result)
    for result in results[1:]:
        for name, tensor in results[0].items():
            torch.testing.assert_close(result[name], tensor, rtol=1e-4, atol=1e-5)


def test_scaling_the_loss_saves_gradients_that_fp16_cannot_hold():
    """A mean over a latent makes gradients of 1e-8 and less, which are zero in fp16."""
    moved = {}
    for scale in (False, True):
        weight = torch.zeros(1, requires_grad=True)
        objective_ = lambda: [((weight.half() * 1e-4).float() * 1e-4 + 1, torch.zeros(1, 1))]  # noqa: B023, E731
        list(train([weight], objective_, 1, 1, 0.5, scale_loss=scale))
        moved[scale] = float(weight.detach())
    assert moved[False] == 0
    assert moved[True] < -0.1


def test_no_step_is_lost_to_gradients_that_leave_fp16_at_the_first_scale():
    """A slope of 2 overflows at the scale that scaling begins with; each of the three steps moves by the rate."""
    weight = torch.zeros(1, requires_grad=True)
    objective = lambda: [((weight.half() * 2).float(), torch.zeros(1, 1))]  # noqa: E731
    steps = [step.number for step in train([weight], objective, 1, 3, 0.5, "constant", scale_loss=True)]
    assert steps == [1, 2, 3]
    assert float(weight.detach()) == pytest.approx(-1.5, rel=1e-3)


def test_gradients_that_no_scale_makes_finite_end_the_run():
    weight = torch.zeros(1, requires_grad=True)
    weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(NonFiniteLoss, match="at step 1"):
        list(train([weight], lambda: [(weight + 1, torch.zeros(1, 1))], 1, 3, 0.5, scale_loss=True))


@pytest.mark.parametrize("run", ["embedding", *TUNE_MODES])
def test_what_on_step_raises_ends_the_run_at_once_and_leaves_the_network_as_it_was(run):
    denoiser, conditioning, steps = Gaussian(), prompt(), []
    before, calls = fingerprint(denoiser.network), []
    denoiser.network.register_forward_hook(lambda *_: calls.append(1))

    class Cancelled(Exception):
        pass

    def cancel(step):
        steps.append(step.number)
        if step.number == 2:
            raise Cancelled

    stage, options = (optimize_embedding, {}) if run == "embedding" else (fine_tune, {"tune": run})
    with pytest.raises(Cancelled):
        stage(denoiser, photo(), conditioning, samples=8, on_step=cancel, **options)
    assert steps == [1, 2]
    assert len(calls) == 1 + 2  # the validation set once, then two steps
    assert fingerprint(denoiser.network) == before
    assert torch.equal(conditioning["cross_attn"], prompt()["cross_attn"])
    assert not any(layer._forward_hooks for layer in denoiser.network.blocks.modules())


def test_a_step_does_not_know_the_scale_of_the_loss():
    """Gradients of a long text are small, for many numbers share them: far smaller than Adam's usual epsilon."""

    def trained(scale):
        weights = torch.linspace(-1, 1, 5).requires_grad_()
        list(train([weights], lambda: [((scale * weights.square()).sum().view(1), torch.zeros(1, 1))], 1, 4, 0.02))
        return weights.detach()

    torch.testing.assert_close(trained(1e-9), trained(1.0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_naming_step_and_learning_rate(bad):
    values, weight, done = iter([1.0, 1.0, bad, 1.0]), torch.zeros(1, requires_grad=True), []
    run = train([weight], lambda: [((weight + 1) * next(values), torch.zeros(1, 1))], 1, 4, 0.02)
    with pytest.raises(NonFiniteLoss, match=r"step 3 with learning rate 0\.02\..*\(try 0\.002\)") as error:
        done.extend(run)
    assert (error.value.step, error.value.learning_rate) == (3, 0.02)


@pytest.mark.parametrize("tune", TUNE_MODES)
def test_a_tuning_that_explodes_stops_and_leaves_the_network_as_it_was(tune):
    denoiser, seen = Gaussian("v"), []
    before = fingerprint(denoiser.network)
    with pytest.raises(NonFiniteLoss, match=r"step 2 with learning rate 1e\+30"):
        fine_tune(denoiser, photo(), prompt(), tune=tune, learning_rate=1e30, on_step=seen.append)
    assert [step.number for step in seen] == [1]
    assert fingerprint(denoiser.network) == before


def test_an_embedding_that_explodes_stops_and_leaves_the_target_as_it_was():
    target = prompt()
    with pytest.raises(NonFiniteLoss, match=r"step 2 with learning rate 1e\+30"):
        optimize_embedding(Gaussian("v"), photo(), target, learning_rate=1e30)
    assert torch.equal(target["cross_attn"], prompt()["cross_attn"])


@pytest.mark.parametrize("run", ["embedding", *TUNE_MODES])
def test_an_explosion_in_the_last_step_is_not_handed_out(run):
    stage, options = (optimize_embedding, {}) if run == "embedding" else (fine_tune, {"tune": run})
    with pytest.raises(NonFiniteLoss, match=r"step 1 with learning rate 1e\+30"):
        stage(Gaussian("v"), photo(), prompt(), steps=1, learning_rate=1e30, **options)


class Counter:
    """Counts, in latents, how often a network's first layer is computed and differentiated."""

    def __init__(self, network):
        self.forward, self.backward = 0, 0
        network.blocks[0].attn.register_forward_hook(self.count_forward)
        network.register_forward_hook(self.count_backward)

    def count_forward(self, module, args, output):
        self.forward += len(output)

    def count_backward(self, module, args, output):
        def add(gradient):
            self.backward += len(gradient)

        if output.requires_grad:
            output.register_hook(add)


@pytest.mark.parametrize("samples", [1, 3, 8])
def test_the_cost_of_an_embedding_is_its_forwards_and_backwards(samples):
    denoiser = Gaussian()
    counter = Counter(denoiser.network)
    _, history = optimize_embedding(denoiser, photo(), prompt(), steps=5, samples=samples)
    assert counter.backward == 5 * samples
    assert history.forward_equivalents == counter.forward + counter.backward


@pytest.mark.parametrize("tune", TUNE_MODES)
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointed"])
def test_the_cost_of_tuning_adds_weight_gradients_and_what_is_computed_again(tune, checkpointing):
    denoiser = Gaussian()
    counter = Counter(denoiser.network)
    _, history = fine_tune(
        denoiser, photo(), prompt(), tune=tune, steps=5, samples=3, gradient_checkpointing=checkpointing
    )
    weight_gradients = counter.backward
    assert counter.backward == 5 * 3
    assert history.forward_equivalents == counter.forward + counter.backward + weight_gradients
