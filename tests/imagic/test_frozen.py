"""Weights made under torch.inference_mode(), as ComfyUI loads them, can be differentiated through and come back."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from imagic import fine_tune, optimize_embedding
from imagic.checkpointing import checkpointed
from imagic.finetuning import TUNE_MODES
from imagic.frozen import frozen
from imagic.overwriting import overwriting_allowed
from tests.packed import Packed, PackedLinear, unpacked

from .gaussian import Gaussian, Mean, mean_of, photo, prompt


def inference_network() -> nn.Module:
    with torch.inference_mode():
        network = Mean()
        network.register_buffer("schedule", torch.linspace(0, 1, 5))
        network.nothing = None
        return network


def tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return dict([*network.named_parameters(), *network.named_buffers()])


def bits(network: nn.Module) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors(network).items()}


def test_inside_every_tensor_is_an_ordinary_frozen_one_over_the_same_memory():
    network = inference_network()
    before = tensors(network)
    assert all(tensor.is_inference() for tensor in before.values())
    with frozen(network):
        inside = tensors(network)
        assert inside.keys() == before.keys()
        assert not any(tensor.is_inference() or tensor.requires_grad for tensor in inside.values())
        assert all(inside[name].data_ptr() == before[name].data_ptr() for name in before)
        assert all(torch.equal(inside[name], before[name]) for name in before)
        assert all(isinstance(parameter, nn.Parameter) for parameter in network.parameters())


def test_views_keep_their_offset_and_strides():
    with torch.inference_mode():
        network = nn.Linear(3, 4)
        network.weight = nn.Parameter(torch.arange(30.0).view(5, 6)[1:4, 1:5].T, requires_grad=False)
    original = network.weight
    with frozen(network):
        assert torch.equal(network.weight, original)
        assert network.weight.stride() == original.stride()
        assert network.weight.data_ptr() == original.data_ptr()


def test_inside_autograd_works_and_outside_it_would_not():
    network, tokens = inference_network(), prompt()["cross_attn"].requires_grad_()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        network(tokens, torch.zeros(1, 4))
    with frozen(network):
        network(tokens, torch.zeros(1, 4)).sum().backward()
    assert tokens.grad.abs().max() > 0


def test_weights_that_require_gradients_get_none_inside():
    network = Mean().requires_grad_(True)
    tokens = prompt()["cross_attn"].requires_grad_()
    with frozen(network):
        network(tokens, torch.zeros(1, 4)).sum().backward()
    assert tokens.grad is not None
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())


def test_ordinary_frozen_weights_are_not_replaced():
    network = Mean()
    before = tensors(network)
    with frozen(network):
        assert all(tensor is before[name] for name, tensor in tensors(network).items())


def test_the_originals_are_put_back_even_when_something_fails():
    network = inference_network()
    before, content = tensors(network), bits(network)

    def run():
        with frozen(network):
            assert tensors(network)["final.weight"] is not before["final.weight"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert all(tensor is before[name] for name, tensor in tensors(network).items())
    assert bits(network) == content


@pytest.mark.parametrize("tune", TUNE_MODES)
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointed"])
def test_both_stages_run_on_inference_weights_inside_an_outer_inference_mode(tune, checkpointing):
    network = inference_network()
    before, content, latent = tensors(network), bits(network), photo()
    denoiser = Gaussian("v", spread=0.1, network=network)
    with torch.inference_mode():
        target = {**prompt(), "pooled_output": torch.ones(1, 4)}
        distance = (mean_of(network, target) - latent).square().mean()
        with torch.inference_mode(False), torch.enable_grad(), frozen(network):
            latent = latent.clone()
            conditioning = {name: tensor.clone() for name, tensor in target.items()}
            optimized, _ = optimize_embedding(denoiser, latent, conditioning, steps=20, learning_rate=0.1)
            closer = (mean_of(network, optimized) - latent).square().mean()
            update, history = fine_tune(
                denoiser, latent, optimized, tune=tune, steps=5, gradient_checkpointing=checkpointing
            )
    assert closer < distance / 2
    assert history.validation_after < history.validation_before
    assert any(tensor.abs().max() > 0 for key, tensor in update.items() if "up" in key or "diff" in key)
    assert all(tensor is before[name] for name, tensor in tensors(network).items())
    assert bits(network) == content


def test_quantized_weights_which_are_a_class_of_tensors_made_of_others_become_ordinary_too():
    with torch.inference_mode():
        network = nn.Linear(3, 4, bias=False)
        network.weight = nn.Parameter(TwoTensor(torch.ones(4, 3), torch.ones(4, 3)), requires_grad=False)
    original, tokens = network.weight, torch.ones(2, 3, requires_grad=True)
    assert original.is_inference()
    with frozen(network):
        inside = network.weight
        assert isinstance(inside, TwoTensor)
        assert not any(tensor.is_inference() for tensor in (inside, inside.a, inside.b))
        assert inside.a.data_ptr() == original.a.data_ptr()
        network(tokens).sum().backward()
    assert tokens.grad is not None
    assert network.weight is original


class Overwriting(nn.Module):
    """Adds in place to what a layer before has kept for the backward pass, as many transformers do."""

    def __init__(self, linear: type[nn.Linear]):
        super().__init__()
        self.layers = nn.ModuleList(linear(8, 8) for _ in range(3))

    def forward(self, x):
        x = x.clone()
        for layer in self.layers:
            x += layer(x).tanh()
        return x


def packed_network() -> tuple[nn.Module, nn.Module]:
    """A network of packed weights under inference mode, and an ordinary one of the same."""
    plain = Overwriting(nn.Linear).requires_grad_(False)
    with torch.inference_mode():
        network = Overwriting(PackedLinear)
        network.load_state_dict(plain.state_dict())
    for layer, of in zip(network.layers, plain.layers, strict=True):
        of.weight.copy_(unpacked(layer.weight).as_subclass(torch.Tensor))
    return network, plain


def test_weights_that_only_their_layers_can_read_keep_their_class():
    network, _ = packed_network()
    original = network.layers[0].weight
    assert original.is_inference()
    with frozen(network):
        inside = network.layers[0].weight
        assert isinstance(inside, Packed)
        assert not inside.is_inference()
        assert inside.data_ptr() == original.data_ptr()
        assert inside.shape == (8, 8) != inside.size()
    assert network.layers[0].weight is original


def test_gradients_through_such_weights_are_those_of_what_they_stand_for_even_where_the_network_overwrites():
    network, plain = packed_network()
    gradients = []
    for each in (network, plain):
        x = torch.linspace(-1, 1, 16).view(2, 8).requires_grad_()
        with frozen(each), overwriting_allowed():
            output = each(x)
            assert type(output) is torch.Tensor
            output.square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointed"])
def test_tensors_that_others_bring_along_are_ordinary_to_every_operation(checkpointing):
    network, tokens = Mean(), prompt()["cross_attn"].requires_grad_()
    with torch.inference_mode():
        brought = nn.Linear(8, 8)
    for block in network.blocks:
        block.attn.register_forward_hook(lambda layer, args, output: output + brought(args[0]) * brought.bias)
    weights = list(brought.parameters())
    with frozen(network, foreign=True), checkpointed(network) if checkpointing else nullcontext():
        network(tokens, torch.zeros(1, 4)).sum().backward()
    assert tokens.grad.abs().max() > 0
    assert all(weight.is_inference() and weight.grad is None for weight in weights)
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved"):
        network(tokens, torch.zeros(1, 4))
