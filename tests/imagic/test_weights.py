"""The network's own weights as what stage B trains."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from imagic.adapters import LoRA
from imagic.weights import Weights

from .gaussian import Block, Mean
from .test_adapters import LAYERS, Network, randomized


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_full_weights_of_8_bits_are_refused(dtype):
    network = Network(nn.Linear(6, 8)).to(dtype)
    with pytest.raises(ValueError, match=r"quantized \(.*float8.*\).*choose LoRA"):
        Weights(network, only_attention=False)


def test_trained_weights_stand_in_for_the_network_s_own():
    network, tokens, pooled = Mean(), torch.randn(1, 2, 8), torch.randn(1, 4)
    adapter = randomized(Weights(network, only_attention=False))
    with adapter.attached():
        inside = network(tokens, pooled)
    assert torch.equal(inside, functional_call(network, adapter.masters, (tokens, pooled)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_difference_of_the_weights_is_what_was_trained_minus_what_was_there(dtype):
    network = Mean().to(dtype)
    adapter = randomized(Weights(network, only_attention=False))
    state = adapter.state_dict()
    for name, weight in network.named_parameters():
        key = name.replace(".weight", ".diff").replace(".bias", ".diff_b")
        assert state[key].dtype == torch.float32
        assert torch.equal(state.pop(key), adapter.masters[name].detach() - weight.float())
    assert not state


def test_untrained_weights_make_no_difference():
    assert all(not difference.any() for difference in Weights(Mean(), only_attention=False).state_dict().values())


def test_the_attention_choice_takes_the_attention_layers_only():
    network = Mean()
    network.blocks[1].CrossAttention = Block(8)
    assert set(Weights(network, only_attention=True).state_dict()) == {
        *(f"blocks.{block}.attn.{part}" for block in (0, 1) for part in ("diff", "diff_b")),
        *(f"blocks.1.CrossAttention.{layer}.{part}" for layer in ("attn", "mlp") for part in ("diff", "diff_b")),
    }


def test_a_network_with_nothing_to_train_is_refused_with_what_to_choose_instead():
    network = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"no blocks .*: tune all weights instead"):
        LoRA(network, 1, 0)
    with pytest.raises(ValueError, match=r"no attention layers .*: tune LoRA or all weights instead"):
        Weights(network, only_attention=True)


def test_only_what_a_lora_file_can_name_is_trained():
    network = Mean()
    before = set(Weights(network, only_attention=False).masters)
    network.blocks[0].scale_shift_table = nn.Parameter(torch.zeros(2, 8))
    network.norm = nn.BatchNorm1d(8)
    assert set(Weights(network, only_attention=False).masters) == before | {"norm.weight", "norm.bias"}


SHARES = {"linear": ("layer.weight", 0.01), "3x3 convolution": ("layer.weight", 0.01), "bias": ("layer.bias", 0.001)}


@pytest.mark.parametrize("scale", [0.01, 1, 100])
@pytest.mark.parametrize("kind", SHARES)
def test_a_step_of_full_weights_changes_what_a_layer_puts_out_by_a_share_of_it(kind, scale):
    """At the rate 1e-3 and where all inputs pull the same way, which is the most that a step of Adam can do."""
    make, size = LAYERS["linear" if kind == "bias" else kind]
    layer, x = make(), scale * torch.randn(size).clamp(-1, 1)
    adapter = Weights(Network(layer), only_attention=False)
    with adapter.measuring(), torch.no_grad():
        output = layer(x)
    name, share = SHARES[kind]
    unit = dict(zip(adapter.masters, adapter.step_units(), strict=True))[f"blocks.0.{name}"]
    inputs = 1 if kind == "bias" else layer.weight[0].numel() * float(x.square().mean().sqrt())
    assert 1e-3 * unit * inputs == pytest.approx(share * float(output.square().mean().sqrt()), rel=0.2)


def test_a_step_of_a_norm_s_weight_is_a_share_of_it():
    network = Mean()
    network.norm = nn.LayerNorm(8)
    nn.init.constant_(network.norm.weight, 5.0)
    adapter = Weights(network, only_attention=False)
    assert 1e-3 * dict(zip(adapter.masters, adapter.step_units(), strict=True))["norm.weight"] == pytest.approx(5e-3)


class Gate(nn.Linear):
    """As of a mixture of experts: which of them, and by how much."""

    def forward(self, x):
        return super().forward(x).max(-1)


def test_what_gives_no_tensor_or_is_given_nothing_steps_by_its_own_size():
    network = nn.Sequential(Gate(6, 8), nn.Linear(6, 8))
    adapter = Weights(network, only_attention=False)
    before = dict(adapter.units)
    with adapter.measuring(), torch.no_grad():
        network[0](torch.randn(3, 6))
        network[1](torch.randn(0, 6))
    assert adapter.units == before


def test_a_table_of_embeddings_steps_by_its_own_size():
    table = nn.Embedding(10, 4)
    adapter = Weights(Network(table), only_attention=False)
    before = dict(adapter.units)
    with adapter.measuring(), torch.no_grad():
        table(torch.tensor([7, 9]))
    assert adapter.units == before


@pytest.mark.parametrize("zero", ["input", "weight"])
def test_full_weights_that_get_or_give_zeros_alone_step_by_their_own_size(zero):
    layer, x = nn.Linear(6, 8, bias=False), torch.randn(3, 6)
    if zero == "weight":
        nn.init.zeros_(layer.weight)
    adapter = Weights(Network(layer), only_attention=False)
    before = dict(adapter.units)
    with adapter.measuring(), torch.no_grad():
        layer(0 * x if zero == "input" else x)
    assert adapter.units == before
    assert adapter.units["blocks.0.layer.weight"] == pytest.approx(
        float(layer.weight.detach().square().mean() / 6) ** 0.5
    )
