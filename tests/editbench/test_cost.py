"""Evaluations are counted as the pack counts its own."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, UNet2DConditionModel

from imagic import fine_tune, optimize_embedding
from imagic.diffusers import DiffusersDenoiser

from .cost import Cost, Meter

TEXT = {"cross_attn": torch.zeros(1, 3, 8)}
LATENT = torch.zeros(1, 4, 8, 8)


@pytest.fixture
def denoiser():
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=4,
    )
    return DiffusersDenoiser(DDPMPipeline(unet, DDIMScheduler()))


@pytest.fixture
def meter(denoiser):
    meter = Meter()
    meter.watch(denoiser.network)
    return meter


def test_stage_a_costs_what_it_reports(denoiser, meter):
    cost = Cost()
    with meter.measured(cost):
        _, history = optimize_embedding(denoiser, LATENT, TEXT, steps=3, samples=2)
    assert cost.forward_equivalents == history.forward_equivalents
    assert cost.seconds > 0


@pytest.mark.parametrize("tune", ["LoRA", "all weights"])
def test_stage_b_costs_what_it_reports(denoiser, meter, tune):
    cost = Cost()
    with meter.measured(cost, weight_gradients=tune == "LoRA"):
        _, history = fine_tune(denoiser, LATENT, TEXT, tune=tune, steps=3, samples=2, learning_rate=1e-5)
    assert cost.forward_equivalents == history.forward_equivalents


def test_nothing_is_counted_outside(denoiser, meter):
    cost = Cost()
    with meter.measured(cost):
        pass
    denoiser(LATENT, torch.ones(1), TEXT)
    assert cost.forward_equivalents == 0
