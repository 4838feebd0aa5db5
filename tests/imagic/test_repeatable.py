"""What is switched on a CUDA device so that training gives the same bits each time. Any device has the switches."""

import contextlib

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from imagic import training
from imagic.repeatable import CAN_ORDER, repeatable

CUDA = torch.device("cuda")
strict = torch.are_deterministic_algorithms_enabled


def attended() -> torch.Tensor:
    query, key, value = torch.randn(3, 1, 2, 4, 8).requires_grad_().unbind()
    return F.scaled_dot_product_attention(query, key, value)


@pytest.fixture
def switches():
    cudnn = torch.backends.cudnn

    def state() -> tuple:
        return cudnn.deterministic, cudnn.benchmark, F.scaled_dot_product_attention, strict()

    cudnn.benchmark = True
    before = state()
    yield state
    assert state() == before
    cudnn.benchmark = False


def test_convolutions_are_told_and_told_back(switches):
    with repeatable(CUDA):
        assert switches()[:2] == (True, False)


def test_elsewhere_nothing_is_switched(switches):
    before = switches()
    with repeatable(torch.device("cpu")):
        assert switches() == before


def test_a_fused_kernel_alone_is_strict_in_its_backward_pass(switches):
    seen = {}
    with repeatable(CUDA):
        result = attended()
        node = result.grad_fn
        assert node.name().startswith("ScaledDotProduct")
        node.register_prehook(lambda gradients: seen.update(inside=strict()))
        result.register_hook(lambda gradient: seen.update(before=strict()))
        node.next_functions[0][0].register_prehook(lambda gradients: seen.update(after=strict()))
        assert not strict()
        result.sum().backward()
    assert seen == {"before": False, "inside": True, "after": False}


def test_a_kernel_whose_result_a_caller_cuts_is_found():
    """Some sizes are padded inside of the function, and what comes back is a part."""
    whole = F.scaled_dot_product_attention
    seen = []
    try:
        F.scaled_dot_product_attention = lambda *args: whole(*args)[..., :5][:, :, :3]
        with repeatable(CUDA):
            result = attended()
            node = result.grad_fn.next_functions[0][0].next_functions[0][0]
            assert node.name().startswith("ScaledDotProduct")
            node.register_prehook(lambda gradients: seen.append(strict()))
            result.sum().backward()
    finally:
        F.scaled_dot_product_attention = whole
    assert seen == [True]


@pytest.mark.skipif(not CAN_ORDER, reason="PyTorch before 2.6 takes no order")
def test_cudnns_attention_comes_after_those_with_an_order():
    seen, whole = [], F.scaled_dot_product_attention

    def watched(*args):
        seen.append(torch._C._get_sdp_priority_order()[:3])
        return whole(*args)

    try:
        F.scaled_dot_product_attention = watched
        with repeatable(CUDA):
            attended()
    finally:
        F.scaled_dot_product_attention = whole
    kernels = SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION
    assert seen == [[kernel.value for kernel in kernels]]


def test_kernels_that_a_caller_turned_off_stay_off():
    with sdpa_kernel([SDPBackend.MATH]), repeatable(CUDA):
        assert not attended().grad_fn.name().startswith("ScaledDotProduct")


def test_training_asks_for_it(monkeypatch):
    asked = []

    @contextlib.contextmanager
    def noted(device):
        asked.append(device)
        yield

    monkeypatch.setattr(training, "repeatable", noted)
    number = torch.ones(1, requires_grad=True)
    for _ in training.train([number], lambda: [(number.square(), number[None])], 1, 3, 0.1):
        pass
    assert asked == [number.device] * 3


def test_plain_operations_are_never_strict():
    """They would raise an error where they have no such way."""
    seen = []
    with sdpa_kernel([SDPBackend.MATH]), repeatable(CUDA):
        result = attended()
        node = result.grad_fn
        assert not node.name().startswith("ScaledDotProduct")
        node.register_prehook(lambda gradients: seen.append(strict()))
        result.sum().backward()
    assert seen == [False]


def test_a_backward_pass_that_ends_halfway_leaves_nothing_switched(switches):
    def fail(gradients):
        raise RuntimeError("out of memory")

    with contextlib.suppress(RuntimeError), repeatable(CUDA):
        result = attended()
        result.grad_fn.register_prehook(fail)
        result.sum().backward()
        pytest.fail("the backward pass came to its end")


def test_a_callers_own_strictness_comes_back():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with repeatable(CUDA):
            attended().sum().backward()
            assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert strict()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
