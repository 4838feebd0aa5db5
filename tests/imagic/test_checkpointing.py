"""Gradient checkpointing changes the memory a run takes, never its gradients."""

from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from imagic.adapters import LoRA
from imagic.checkpointing import checkpointed
from imagic.training import keeping_overwritten

from .gaussian import Block, Gaussian


class Plain(Block):
    def forward(self, x):
        h = torch.tanh(self.attn(x))
        h = h + self.mlp(h)
        return x + h * h


class Overwriting(Block):
    """The same function, added in place to what the backward pass needs, as older ComfyUIs do in their blocks."""

    def forward(self, x):
        h = torch.tanh(self.attn(x))
        h += self.mlp(h)
        h *= h
        return h.add_(x)


class Network(nn.Module):
    def __init__(self, kind: type[Block]):
        super().__init__()
        self.stem = nn.Linear(8, 8)
        self.blocks = nn.ModuleList(kind(8) for _ in range(3))
        self.requires_grad_(False)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            parameter.normal_(std=0.3, generator=generator)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


def denoiser(network: Network, overwrites: bool) -> Gaussian:
    result = Gaussian(network=network)
    result.overwrites = overwrites
    return result


def lora_gradients(kind: type[Block], overwrites: bool, checkpointing: bool) -> list[torch.Tensor]:
    network = Network(kind)
    lora = LoRA(network, rank=2, seed=0)
    with torch.no_grad():
        for up in lora.up.values():
            up.fill_(0.1)
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    with keeping_overwritten(denoiser(network, overwrites)), lora.attached():
        if checkpointing:
            with checkpointed(network, overwrites):
                network(x).square().mean().backward()
        else:
            network(x).square().mean().backward()
    return [parameter.grad for parameter in lora.parameters()]


def test_the_gradients_are_those_without_checkpointing():
    plain, saved = (lora_gradients(Plain, False, checkpointing) for checkpointing in (False, True))
    assert all(gradient.abs().max() > 1e-3 for gradient in plain)
    assert all(torch.equal(a, b) for a, b in zip(plain, saved, strict=True))


class Numbered(Block):
    """Scales by its own number, read from a dict that all blocks share, as ComfyUI's patches of a block do."""

    def forward(self, x, options):
        options["seen"] = options.get("seen", 0) + 1
        return x + options["block"] * torch.tanh(self.attn(x))


class Shared(Network):
    def forward(self, x):
        options = {}
        x = self.stem(x)
        for number, block in enumerate(self.blocks, 1):
            options["block"] = number
            x = block(x, options)
        assert options["seen"] == len(self.blocks)  # what a block leaves there the next one finds
        return x


def test_a_block_is_computed_again_as_it_was_told_the_first_time():
    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        network = Shared(Numbered)
        x = torch.randn(5, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
        with checkpointed(network) if checkpointing else nullcontext():
            network(x).square().mean().backward()
        return x.grad

    assert torch.equal(gradients(True), gradients(False))


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointed"])
def test_a_network_that_overwrites_its_tensors_gets_the_right_gradients(checkpointing):
    right = lora_gradients(Plain, False, False)
    gradients = lora_gradients(Overwriting, True, checkpointing)
    assert all(gradient.abs().max() > 1e-3 for gradient in right)
    for got, expected in zip(gradients, right, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@dataclass
class Modulation:
    """What some transformers hand to their blocks: tensors in an object of their own."""

    shift: torch.Tensor


class Streams(nn.Module):
    """Two streams and a modulation in, two streams out, by keyword and overwritten, as Flux has it."""

    def __init__(self):
        super().__init__()
        self.attn, self.mlp = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, img, txt, vec):
        shift = vec[0].shift
        mixed = torch.tanh(self.attn(img * txt + shift))
        img += mixed
        txt += self.mlp(img * img)
        return img, txt


def streams_gradients(overwrites: bool, checkpointing: bool) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    network = nn.Module()
    network.blocks = nn.ModuleList(Streams() for _ in range(3))
    for parameter in network.requires_grad_(False).parameters():
        parameter.normal_(std=0.3, generator=generator)
    photo, text, shift = (torch.randn(2, 8, generator=generator) for _ in range(3))
    trained = [text.requires_grad_(), shift.requires_grad_(), network.blocks[0].mlp.weight.requires_grad_()]
    with keeping_overwritten(denoiser(network, overwrites)), ExitStack() as stack:
        if checkpointing:
            stack.enter_context(checkpointed(network, overwrites))
        # The photo's stream needs no gradient of its own, the text's comes from a layer outside.
        img, txt = photo.clone(), text * 2
        for block in network.blocks:
            img, txt = block(img=img, txt=txt, vec=(Modulation(shift * 3), None))
        (img * txt).square().mean().backward()
    return [tensor.grad for tensor in trained]


def test_blocks_that_overwrite_their_inputs_get_the_right_gradients_in_whatever_these_come():
    plain, saved = (streams_gradients(True, checkpointing) for checkpointing in (False, True))
    assert all(gradient.abs().max() > 1e-3 for gradient in plain)
    for got, expected in zip(saved, plain, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_to_the_input_is_that_without_checkpointing():
    network, gradients = Network(Plain), []
    for checkpointing in (False, True):
        x = torch.linspace(-1, 1, 16).view(2, 8).requires_grad_()
        if checkpointing:
            with checkpointed(network):
                network(x).square().mean().backward()
        else:
            network(x).square().mean().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("overwrites", [False, True])
def test_the_output_is_that_without_checkpointing(overwrites):
    network, x = Network(Overwriting if overwrites else Plain), torch.randn(2, 8)
    plain = network(x)
    with keeping_overwritten(denoiser(network, overwrites)), checkpointed(network, overwrites):
        assert torch.equal(network(x), plain)


@pytest.mark.parametrize("overwrites", [False, True])
def test_each_block_is_computed_again_for_the_backward_pass(overwrites):
    network = Network(Overwriting if overwrites else Plain)
    lora, calls = LoRA(network, 1, 0), []
    for block in network.blocks:
        block.attn.register_forward_hook(lambda *_: calls.append(1))
    with keeping_overwritten(denoiser(network, overwrites)), lora.attached(), checkpointed(network, overwrites):
        loss = network(torch.randn(2, 8)).mean()
        assert len(calls) == 3
        loss.backward()
    assert len(calls) == 6


@pytest.mark.parametrize("overwrites", [False, True])
def test_only_the_inputs_of_the_blocks_are_kept(overwrites):
    """Counted in tensors that the forward pass saves outside of a recomputation."""

    def saved(checkpointing: bool) -> int:
        network, kept = Network(Overwriting if overwrites else Plain), []
        lora = LoRA(network, 1, 0)
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda t: t)
        with lora.attached(), hooks:
            if checkpointing:
                with checkpointed(network, overwrites):
                    network(torch.randn(2, 8))
            else:
                network(torch.randn(2, 8))
        return sum(tensor.numel() for tensor in kept)

    assert saved(True) < saved(False) / 3


@pytest.mark.parametrize("overwrites", [False, True])
def test_the_network_is_its_own_again_afterwards_even_when_something_fails(overwrites):
    network = Network(Plain)

    def run():
        with checkpointed(network, overwrites):
            assert all("forward" in vars(block) for block in network.blocks)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not any("forward" in vars(module) for module in network.modules())
    assert network.blocks[0].forward.__func__ is Plain.forward


def test_a_forward_that_was_shadowed_before_is_shadowed_again():
    network = Network(Plain)
    mine = network.blocks[1].forward = network.blocks[1].forward
    with checkpointed(network):
        assert network.blocks[1].forward is not mine
    assert vars(network.blocks[1])["forward"] is mine
    assert "forward" not in vars(network.blocks[0])
