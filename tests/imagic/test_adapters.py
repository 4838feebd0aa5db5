"""What stage B trains computes what the files it is saved as say, and leaves the network alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

from imagic.adapters import LoRA, in_attention
from imagic.weights import Weights

from .gaussian import Mean, fingerprint, merged

LAYERS = {
    "linear": (lambda: nn.Linear(6, 8), (3, 5, 6)),
    "linear without bias": (lambda: nn.Linear(6, 8, bias=False), (3, 6)),
    "1x1 convolution": (lambda: nn.Conv2d(6, 8, 1), (2, 6, 5, 7)),
    "3x3 convolution": (lambda: nn.Conv2d(6, 8, 3), (2, 6, 5, 7)),
    "padded 3x3 convolution": (lambda: nn.Conv2d(6, 8, 3, padding=1), (2, 6, 5, 7)),
    "strided 3x3 convolution": (lambda: nn.Conv2d(6, 8, 3, stride=2, padding=1), (2, 6, 6, 8)),
    "circular 3x3 convolution": (lambda: nn.Conv2d(6, 8, 3, padding=1, padding_mode="circular"), (2, 6, 5, 7)),
    "dilated 3x5 convolution": (lambda: nn.Conv2d(6, 8, (3, 5), dilation=2, padding="same"), (2, 6, 9, 9)),
}


class Network(nn.Module):
    """One block with the layer of interest first, and a layer outside of any block."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        block = nn.Module()
        block.layer, block.other = layer, nn.Linear(2, 2)
        self.blocks, self.head = nn.ModuleList([block]), nn.Linear(2, 2)

    def forward(self, x):
        return self.blocks[0].layer(x)


class Packed(nn.Module):
    """A linear layer as quantized checkpoints have it: no nn.Linear, its weight in a shape of its own."""

    def __init__(self):
        super().__init__()
        self.in_features, self.out_features = 6, 8
        self.weight = nn.Parameter(torch.arange(-24, 24, dtype=torch.int8).view(4, 12), requires_grad=False)

    def forward(self, x):
        return nn.functional.linear(x, self.weight.view(8, 6).to(x.dtype) / 24)


def test_lora_goes_beside_whatever_says_it_is_linear():
    network, x = Network(Packed()), torch.randn(3, 6)
    plain, lora = network(x), randomized(LoRA(network, rank=2, seed=0))
    state = lora.state_dict()
    update = state["blocks.0.layer.lora_up.weight"] @ state["blocks.0.layer.lora_down.weight"]
    with lora.attached():
        torch.testing.assert_close(network(x), plain + x @ update.T)


def randomized(adapter):
    """The adapter as after some training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return adapter


def test_lora_begins_as_no_change_at_all():
    network, tokens, pooled = Mean(), torch.randn(3, 2, 8), torch.randn(3, 4)
    plain = network(tokens, pooled)
    lora = LoRA(network, rank=4, seed=0)
    with lora.attached():
        assert torch.equal(network(tokens, pooled), plain)
    assert all(down.abs().max() > 0 for down in lora.down.values())


@pytest.mark.parametrize("kind", LAYERS)
def test_lora_beside_a_layer_computes_what_the_merged_weight_computes(kind):
    make, size = LAYERS[kind]
    network, x = Network(make()).double(), torch.randn(size, dtype=torch.float64)
    lora = randomized(LoRA(network, rank=3, seed=0))
    with lora.attached():
        beside = network(x)
    weights = merged(network.state_dict(), {key: tensor.double() for key, tensor in lora.state_dict().items()})
    torch.testing.assert_close(beside, functional_call(network, weights, x))
    assert (beside - network(x)).abs().max() > 0.1


@given(st.integers(1, 20), st.integers(2, 12), st.integers(2, 12))
def test_the_rank_is_capped_by_the_layer_and_alpha_is_the_rank(rank, inputs, outputs):
    lora = LoRA(Network(nn.Linear(inputs, outputs)), rank, seed=0)
    state, size = lora.state_dict(), min(rank, inputs, outputs)
    assert state["blocks.0.layer.lora_down.weight"].shape == (size, inputs)
    assert state["blocks.0.layer.lora_up.weight"].shape == (outputs, size)
    assert state["blocks.0.layer.alpha"] == size


def test_lora_covers_the_layers_of_blocks_and_no_others():
    assert list(LoRA(Mean(), 1, 0).layers) == ["blocks.0.attn", "blocks.0.mlp", "blocks.1.attn", "blocks.1.mlp"]


def test_only_attention_layers_are_found_by_name_or_else_all():
    assert list(LoRA(Mean(), 1, 0, only_attention=True).layers) == ["blocks.0.attn", "blocks.1.attn"]
    assert list(LoRA(Network(nn.Linear(4, 4)), 1, 0, only_attention=True).layers) == list(
        LoRA(Network(nn.Linear(4, 4)), 1, 0).layers
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("input_blocks.1.1.transformer_blocks.0.attn1.to_q", True),
        ("double_blocks.0.img_attn.qkv", True),
        ("layers.0.attention.to_out.0", True),
        ("blocks.3.self_attention.q", True),
        ("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", True),
        ("down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2", False),
        ("down_blocks.0.attentions.0.proj_in", False),
        ("single_blocks.3.linear1", False),
        ("single_transformer_blocks.3.attn.to_q", True),
        ("blocks.0.mlp.fc1", False),
    ],
)
def test_attention_layers_have_one_meaning_in_all_naming_schemes(path, expected):
    assert in_attention(path) is expected


class Single(nn.Module):
    """Flux's single block, as far as names go."""

    def __init__(self):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(4, 12), nn.Linear(8, 4)

    def forward(self, x):
        return x


def test_lora_goes_beside_a_layer_in_which_attention_is_fused_with_more():
    network = nn.Module()
    network.single_blocks = nn.ModuleList(Single() for _ in range(2))
    layers = list(LoRA(network, 1, 0, only_attention=True).layers)
    assert layers == ["single_blocks.0.linear1", "single_blocks.1.linear1"]


def test_lora_leaves_grouped_convolutions_out():
    assert list(LoRA(Network(nn.Conv2d(4, 4, 3, groups=4)), 1, 0).layers) == ["blocks.0.other"]


def test_a_seed_fixes_where_lora_begins():
    one, same, other = (LoRA(Mean(), 2, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["blocks.0.attn.lora_down.weight"], other["blocks.0.attn.lora_down.weight"])


def test_lora_trains_in_fp32_beside_a_network_of_lower_precision():
    network = Mean().bfloat16()
    lora = randomized(LoRA(network, 2, 0))
    with lora.attached():
        out = network(torch.randn(1, 2, 8).bfloat16(), torch.randn(1, 4).bfloat16())
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert all(p.dtype == p.grad.dtype == torch.float32 and p.grad.abs().max() > 0 for p in lora.parameters())


ADAPTERS = {
    "LoRA": lambda network: LoRA(network, 2, 0),
    "attention": lambda network: Weights(network, only_attention=True),
    "all weights": lambda network: Weights(network, only_attention=False),
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_network_is_untouched_afterwards_even_when_something_fails(kind):
    network, tokens, pooled = Mean(), torch.randn(1, 2, 8), torch.randn(1, 4)
    before, plain = fingerprint(network), network(tokens, pooled)
    adapter = randomized(ADAPTERS[kind](network))

    def run():
        with adapter.attached():
            out = network(tokens, pooled)
            out.sum().backward()
            assert not torch.equal(out, plain)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert fingerprint(network) == before
    assert torch.equal(network(tokens, pooled), plain)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.grad is not None for parameter in adapter.parameters())


@pytest.mark.parametrize("silent", ["inputs", "outputs", "mixed"])
def test_a_layer_that_gets_or_gives_zeros_alone_keeps_the_unit_it_had(silent):
    layer = nn.Linear(6, 8, bias=silent == "inputs")
    network, x = Network(layer), torch.randn(3, 6)
    adapter = LoRA(network, 2, 0)
    before = adapter.units["blocks.0.layer"]
    if silent == "outputs":
        nn.init.zeros_(layer.weight)
    with adapter.measuring():
        network(x if silent == "outputs" else torch.zeros(3, 6))
    assert adapter.units["blocks.0.layer"] == before
    if silent == "mixed":  # what it computes of something else counts
        with adapter.measuring():
            network(torch.zeros(3, 6))
            network(x)
        assert 0 < adapter.units["blocks.0.layer"][1] < float("inf")
        assert adapter.units["blocks.0.layer"] != before
