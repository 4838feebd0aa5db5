"""A caller's pipeline whose weights are of other numbers while a layer computes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers import DiffusionPipeline
from diffusers.hooks import apply_group_offloading
from diffusers.hooks.layerwise_casting import apply_layerwise_casting_hook
from PIL import Image

from imagic.diffusers import EmbeddingSettings, ImagicEdit, TuningSettings, tune

from .pipelines import build

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
FP8 = torch.float8_e4m3fn


SETTINGS = [EmbeddingSettings(steps=3), TuningSettings(steps=3)]


def cast() -> DiffusionPipeline:
    pipeline = build("Stable Diffusion 1")
    pipeline.unet.enable_layerwise_casting(FP8, torch.float32)
    apply_layerwise_casting_hook(pipeline.unet.conv_norm_out, FP8, torch.float32, non_blocking=False)
    return pipeline


def learned(pipeline: DiffusionPipeline, **changes) -> ImagicEdit:
    embedding, tuning = (replace(settings, **changes) for settings in SETTINGS)
    return tune(pipeline, PHOTO, "a dog", embedding=embedding, tuning=tuning)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_layerwise_casting_learns_what_weights_of_these_values_do(checkpointing):
    """Some layers ask for a weight again in their backward pass, when it is of 8 bits: a norm's here, all on a GPU."""
    of_8_bits, rounded = cast(), build("Stable Diffusion 1")
    for name, weight in of_8_bits.unet.named_parameters():
        if weight.dtype == FP8:
            rounded.unet.get_parameter(name).data = weight.data.float()
    edits = [learned(pipeline, gradient_checkpointing=checkpointing) for pipeline in (of_8_bits, rounded)]
    torch.testing.assert_close(edits[0].optimized, edits[1].optimized)
    torch.testing.assert_close(edits[0].update, edits[1].update)
    assert of_8_bits.unet.conv_norm_out.weight.dtype == FP8


@pytest.mark.parametrize("offload", ["accelerate", "diffusers"])
def test_layerwise_casting_of_weights_that_wait_elsewhere(offload):
    alone, offloaded = cast(), cast()
    if offload == "accelerate":
        cpu_offload(offloaded.unet)
    else:
        cpu = torch.device("cpu")
        apply_group_offloading(offloaded.unet, onload_device=cpu, offload_device=cpu, offload_type="leaf_level")
    torch.testing.assert_close(learned(offloaded).update, learned(alone).update)
