"""Gradients of networks that overwrite what autograd has saved."""

import gc
import weakref

import pytest
import torch
from torch import Tensor

from imagic.overwriting import overwriting_allowed


def leaf(*shape: int) -> Tensor:
    return torch.linspace(0.1, 1, torch.Size(shape).numel()).view(shape).requires_grad_()


@pytest.fixture
def at_once():
    """Memory is freed when the last name goes, and what stays behind can be seen."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("shape", [(32,), (16,)], ids=["same size", "other size"])
@pytest.mark.usefixtures("at_once")
def test_a_tensor_in_the_place_of_one_that_was_copied_is_not_taken_for_it(shape):
    """Same address, same id, same version, as chance has it where much is allocated. torch's own way fails here."""
    memory, first, second = torch.ones(32), leaf(32), leaf(*shape)
    with overwriting_allowed():
        # Each a fresh version on the same memory, as an allocator gives a freed place again.
        saved, there = memory.data, memory.data[: shape[0]]
        loss = (first * saved).sum()
        name, others = (id(saved), saved.data_ptr(), saved._version), []
        saved.add_(1)
        del saved
        while id(later := there.data) != name[0]:
            others.append(later)
            assert len(others) < 1000
        assert (id(later), later.data_ptr(), later._version) == name
        (loss + (second * later).sum()).backward()
    torch.testing.assert_close(first.grad, torch.ones(32))
    torch.testing.assert_close(second.grad, torch.full(shape, 2.0))


def whole(x: Tensor) -> None:
    x.add_(1)


def part(x: Tensor) -> None:
    x[1:].mul_(3)


def view(x: Tensor) -> None:
    x.view(-1)[2:4] = 0


def out(x: Tensor) -> None:
    torch.mul(torch.ones(4), 2, out=x.detach()[0])


def several(x: Tensor) -> None:
    torch._foreach_add_([x.detach(), torch.zeros(3)], 1.0)


def again(x: Tensor) -> None:
    x.add_(1)
    x.sin_()
    x[0] = 2


@pytest.mark.parametrize("write", [whole, part, view, out, several, again])
def test_gradients_are_those_of_what_was_saved(write):
    def gradients(overwrite: bool) -> Tensor:
        x = leaf(3, 4)
        with overwriting_allowed():
            y = x * 2
            loss = (y * y).sum() + y.tanh().sum() + (y[1:] ** 3).sum() + y.t().exp().sum()
            if overwrite:
                write(y)
            loss.backward()
        return x.grad

    torch.testing.assert_close(gradients(True), gradients(False))


def test_each_version_counts_for_what_was_computed_from_it():
    def gradients(add) -> Tensor:
        x = leaf(3, 4)
        with overwriting_allowed():
            y, loss = x * 2, 0
            for _ in range(3):
                loss = loss + (y * y).sum()
                y = add(y)
            (loss + (y**3).sum()).backward()
        return x.grad

    torch.testing.assert_close(gradients(lambda y: y.mul_(y.detach().clone())), gradients(lambda y: y * y.detach()))


def test_nothing_is_copied_that_is_not_overwritten_and_what_is_only_once(monkeypatch):
    copied, clone = [], Tensor.clone
    monkeypatch.setattr(Tensor, "clone", lambda self: copied.append(self.shape) or clone(self))
    x = leaf(3, 4)
    with overwriting_allowed():
        y = x * 2
        z = (y * y).tanh()
        (z * z).sum().backward()
        assert copied == []
        y = x * 2
        loss = (y * y).sum() + (y**3).sum()
        y.add_(1)
        y.add_(1)
        loss.backward()
    assert copied == [(3, 4)]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.usefixtures("at_once")
def test_nothing_outlives_a_graph_that_was_not_gone_back_through(overwrite):
    x = leaf(3, 4)
    with overwriting_allowed():
        y = (x * 2).tanh()
        if overwrite:
            y.mul_(2)
        loss = (y * y).exp().sum()
        alive = [weakref.ref(tensor) for tensor in (y, loss)] + [y.untyped_storage()._weak_ref()]
        del y, loss
        assert [ref() for ref in alive[:2]] == [None, None]
        assert torch.UntypedStorage._expired(alive[2])
