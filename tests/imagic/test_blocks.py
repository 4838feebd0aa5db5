"""Which parts of a network are its blocks."""

from torch import nn

from imagic.blocks import blocks


class Residual(nn.Module):
    def __init__(self, width: int = 4):
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(2, width), nn.SiLU(), nn.Conv2d(width, width, 3))
        self.second = nn.Sequential(nn.GroupNorm(2, width), nn.SiLU(), nn.Conv2d(width, width, 3))


class Transformer(nn.Module):
    """A spatial transformer of depth 2: the list in it must not be taken for one of the network's."""

    def __init__(self, width: int = 4):
        super().__init__()
        self.norm, self.proj_in = nn.GroupNorm(2, width), nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([nn.TransformerEncoderLayer(width, 1, 8) for _ in range(2)])
        self.proj_out = nn.Conv2d(width, width, 1)


class Downsample(nn.Module):
    def __init__(self):
        super().__init__()
        self.op = nn.Conv2d(4, 4, 3, stride=2)


def test_the_blocks_of_a_unet_are_its_residual_and_transformer_blocks():
    network = nn.Module()
    network.time_embed = nn.Sequential(nn.Linear(4, 4))
    network.input_blocks = nn.ModuleList(
        [nn.Sequential(nn.Conv2d(4, 4, 3)), nn.Sequential(Residual(), Transformer()), nn.Sequential(Downsample())]
    )
    network.middle_block = nn.Sequential(Residual(), Transformer(), Residual())
    network.output_blocks = nn.ModuleList([nn.Sequential(Residual(), Transformer(), nn.Upsample(scale_factor=2))])
    network.out = nn.Sequential(nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 4, 3))
    assert list(blocks(network)) == [
        "input_blocks.1.0",
        "input_blocks.1.1",
        "middle_block.0",
        "middle_block.1",
        "middle_block.2",
        "output_blocks.0.0",
        "output_blocks.0.1",
    ]


def test_the_blocks_of_a_dit_are_its_transformer_blocks():
    network = nn.Module()
    network.x_embedder = nn.Linear(4, 4)
    network.t_embedder = nn.Module()
    network.t_embedder.mlp = nn.Module()
    network.t_embedder.mlp.first, network.t_embedder.mlp.second = nn.Linear(4, 4), nn.Linear(4, 4)
    network.double_blocks = nn.ModuleList([nn.TransformerEncoderLayer(4, 1, 8) for _ in range(2)])
    network.single_blocks = nn.ModuleList([nn.TransformerEncoderLayer(4, 1, 8)])
    network.final_layer = nn.Linear(4, 4)
    found = blocks(network)
    assert list(found) == ["double_blocks.0", "double_blocks.1", "single_blocks.0"]
    assert found["single_blocks.0"] is network.single_blocks[0]


def test_blocks_are_found_one_level_down_too():
    network = nn.Module()
    network.body = nn.Module()
    network.body.stem, network.body.layers = nn.Linear(4, 4), nn.ModuleList([Residual(), Residual()])
    assert list(blocks(network)) == ["body.layers.0", "body.layers.1"]


def test_a_norm_does_not_make_a_block_of_a_single_layer():
    network, lone = nn.Module(), nn.Module()
    lone.norm, lone.conv = nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 3)
    network.layers = nn.ModuleList([lone, Residual()])
    assert list(blocks(network)) == ["layers.1"]


def test_a_network_without_lists_has_no_blocks():
    network = nn.Module()
    network.stem, network.body, network.head = nn.Linear(4, 4), Downsample(), nn.Conv2d(4, 4, 3)
    assert blocks(network) == {}
