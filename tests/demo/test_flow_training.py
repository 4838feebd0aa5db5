"""The pieces that the flow model's training is made of."""

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import JointAttnProcessor2_0
from torch import nn

from demo import load, words
from demo.training import autoencoder, data, loop
from demo.training.flow import transformer
from demo.training.flow.transformer import levels, velocity_loss
from demo.training.text_to_image import texts
from tests import flow


def batch(count: int = 4) -> tuple[torch.Tensor, ...]:
    """Clean latents, noise, levels and texts."""
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, count, transformer.CHANNELS, 16, 16, generator=generator)
    rows = texts(data.scenes(1, count), np.random.default_rng(0), words.FLOW_LENGTH)
    return clean, noise, levels(count, generator), rows


def test_it_has_the_asked_shape():
    network = transformer.new(seed=0)
    config = network["transformer"].config
    assert (config.num_layers, config.patch_size, config.in_channels, config.pos_embed_max_size) == (4, 2, 16, 16)
    assert config.num_attention_heads * config.attention_head_dim == 256
    assert 8e6 < sum(p.numel() for p in network.parameters()) < 11e6


def test_levels_are_stable_diffusion_3s():
    drawn = levels(10_000, torch.Generator().manual_seed(0))
    assert drawn.min() > 0
    assert drawn.max() < 1
    logits = (drawn / (3 - 2 * drawn)).logit()  # the shift undone
    deviation, mean = torch.std_mean(logits)
    assert abs(mean) < 0.01
    assert abs(deviation - 1) < 0.01
    assert (drawn.diff() > 0).all()  # one from each share


def test_an_untrained_network_predicts_no_velocity():
    """So its loss is known: the mean square of noise - clean."""
    clean, noise, level, rows = batch()
    loss = velocity_loss(transformer.new(seed=0), clean, noise, level, rows)
    torch.testing.assert_close(loss, (noise - clean).square().mean())


def test_the_velocity_leads_from_noise_to_the_picture():
    """x_t - t v is the clean latent, in the terms of the diffusers scheduler that samples with it."""
    clean, noise, *_ = batch(1)
    scheduler = transformer.scheduler()
    scheduler.set_timesteps(3)
    x = noise
    for time in scheduler.timesteps:
        x = scheduler.step(noise - clean, time, x).prev_sample
    torch.testing.assert_close(x, clean, atol=1e-5, rtol=1e-5)


def test_plain_attention_is_the_fused_one():
    network = flow.network()
    inputs = batch()
    with torch.no_grad():
        plain = velocity_loss(network, *inputs)
        network["transformer"].set_attn_processor(JointAttnProcessor2_0())
        torch.testing.assert_close(velocity_loss(network, *inputs), plain, atol=1e-6, rtol=1e-6)


def test_the_scale_of_the_texts_stays(tmp_path):
    latents, steps = batch(8)[0], {"steps": 2, "horizon": 4, "cooldown": 1}
    network = transformer.train(flow.network(), data.scenes(1, 8), latents, seed=0, folder=tmp_path, **steps)
    with torch.no_grad():
        embedded = network["text"](batch(8)[-1])
    rms = embedded.last_hidden_state.square().mean(-1).sqrt()
    torch.testing.assert_close(rms, torch.full_like(rms, 0.2), atol=1e-4, rtol=0)
    weights = dict(network["text"].named_parameters())
    (last,) = (tensor for name, tensor in weights.items() if name.endswith("final_layer_norm.weight"))
    assert (last == 0.2).all()
    assert embedded.pooler_output.shape == (8, 128)


def test_an_interrupted_training_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY", 2)
    target = torch.linspace(0, 1, 8)

    def run(folder, fails_at: float | None = None) -> nn.Module:
        def loss(network, generator, progress):
            if progress == fails_at:
                raise KeyboardInterrupt
            return (network(torch.randn(4, 8, generator=generator)) - target).square().mean()

        torch.manual_seed(0)
        folder.mkdir(exist_ok=True)
        settings = {"steps": 6, "rate": 1e-2, "averaging": 0.9, "seed": 3, "folder": folder}
        return loop.fit("stage", nn.Linear(8, 8), loss, **settings)

    whole = run(tmp_path / "whole").state_dict()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", fails_at=3 / 6)
    partly = loop.average_so_far("stage", nn.Linear(8, 8), tmp_path / "broken").state_dict()
    assert not torch.equal(partly["weight"], whole["weight"])
    again = run(tmp_path / "broken").state_dict()
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    done = loop.average_so_far("stage", nn.Linear(8, 8), tmp_path / "broken").state_dict()
    assert all(torch.equal(done[name], whole[name]) for name in whole)


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, [1, 0.755, 0.265]),  # a cosine to a fiftieth
        ({"horizon": 6}, [1, 0.934, 0.755]),  # the start of one that is twice as long
        ({"horizon": 6, "cooldown": 2}, [1, 0.934, 0.3775]),  # and from the second step on down to nothing
    ],
)
def test_the_rate_falls_as_said(tmp_path, settings, shares):
    weight, seen = nn.Parameter(torch.tensor(0.0)), []

    class Down(nn.Module):
        """Adam moves its weight by the rate at every step, for its slope is always one."""

        def __init__(self):
            super().__init__()
            self.weight = weight

    def loss(network, generator, progress):
        seen.append(weight.item())
        return network.weight.clone()

    loop.fit("stage", Down(), loss, steps=3, rate=0.1, averaging=0.9, seed=0, folder=tmp_path, warmup=1, **settings)
    moved = -torch.tensor([*seen[1:], weight.item()]).diff(prepend=torch.zeros(1))
    torch.testing.assert_close(moved / 0.1, torch.tensor(shares), atol=1e-3, rtol=0)


def test_a_widened_autoencoder_keeps_all_but_the_layers_at_the_latents():
    narrow, wide = load.vae().state_dict(), autoencoder.widened(load.vae(), 16, seed=0).state_dict()
    new = {name for name, tensor in narrow.items() if tensor.shape != wide[name].shape}
    assert new == {"encoder.layers.14.weight", "encoder.layers.14.bias", "decoder.layers.0.weight"}
    assert all(torch.equal(narrow[name], wide[name]) for name in narrow if name not in new)
