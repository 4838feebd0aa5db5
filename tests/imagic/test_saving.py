"""What autograd keeps is counted without keeping it."""

import gc

import pytest
import torch
from torch import Tensor, nn

from imagic.checkpointing import checkpointed
from imagic.saving import counting

from .test_checkpointing import Network, Overwriting, Plain


class Late(Network):
    """Writes into what a block has saved, after the block."""

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = torch.sigmoid(block(x))
            saved = x.exp()
            x = saved * saved
            saved += 1
        return x


class Input(Plain):
    """Writes into its input, which nobody has saved: it cannot simply be computed again."""

    def forward(self, x):
        x += 1
        return super().forward(x.clone())


def trainable(network: nn.Module) -> nn.Module:
    return network.requires_grad_()


def kept(run, *weights: Tensor) -> int:
    """Bytes that a forward pass really saves, each storage once."""
    found, own = {}, {weight.data_ptr() for weight in weights}

    def keep(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.detach()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = run()
    assert output.requires_grad
    return sum(tensor.untyped_storage().nbytes() for storage, tensor in found.items() if storage not in own)


def test_it_is_as_much_as_a_forward_pass_keeps():
    network, x = trainable(Network(Plain)), torch.randn(64, 8)
    weights = list(network.parameters())
    with counting(network) as saved:
        network(x)
    assert saved.everything == saved.most(False) == kept(lambda: network(x), *weights)
    with checkpointed(network):
        assert saved.outside == kept(lambda: network(x), *weights)
    block, inside = network.blocks[0], torch.randn(64, 8, requires_grad=True)
    # Its input is among the inputs of blocks already.
    assert list(saved.blocks.values()) == [kept(lambda: block(inside), *weights, inside)] * 3
    assert saved.most(True) == saved.outside + saved.blocks["blocks.0"] < saved.everything
    assert sum(saved.inputs.values()) == 3 * inside.nbytes


@pytest.mark.parametrize(
    ("network", "overwrites"),
    [(Network(Plain), False), (Network(Overwriting), True), (Late(Plain), True), (Network(Input), True)],
    ids=["plain", "in a block", "between blocks", "an input"],
)
def test_it_tells_whether_the_network_overwrites_what_is_kept(network, overwrites):
    with counting(trainable(network)) as saved:
        network(torch.randn(2, 8))
    assert saved.overwritten == overwrites


def test_each_version_of_what_is_overwritten_counts():
    """Autograd keeps a copy of each, see `keeping_overwritten`."""
    counts = []
    for kind in (Plain, Overwriting):
        network = trainable(Network(kind))
        with counting(network) as saved:
            network(torch.randn(64, 8))
        counts.append(saved.everything)
    assert counts[1] >= counts[0]


def test_nothing_of_it_is_left_and_the_network_is_as_it_was():
    network = trainable(Network(Plain))
    gc.collect()
    gc.disable()
    try:
        before = sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())
        with counting(network):
            output = network(torch.randn(64, 8))
        with pytest.raises(RuntimeError, match="cannot be differentiated"):
            output.sum().backward()
        del output
        assert sum(issubclass(type(thing), Tensor) for thing in gc.get_objects()) == before
    finally:
        gc.enable()
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in network.blocks)
