"""A caller's pipeline whose weights are of other numbers while a layer computes."""

import numpy as np
import pytest
import torch
from diffusers.hooks.layerwise_casting import apply_layerwise_casting_hook
from PIL import Image

from imagic.diffusers import EmbeddingSettings, TuningSettings, tune

from .pipelines import build

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
FP8 = torch.float8_e4m3fn


@pytest.mark.parametrize("checkpointing", [False, True])
def test_layerwise_casting_learns_what_weights_of_these_values_do(checkpointing):
    """Some layers ask for a weight again in their backward pass, when it is of 8 bits: a norm's here, all on a GPU."""
    cast, rounded = (build("Stable Diffusion 1") for _ in range(2))
    cast.unet.enable_layerwise_casting(FP8, torch.float32)
    apply_layerwise_casting_hook(cast.unet.conv_norm_out, FP8, torch.float32, non_blocking=False)
    for name, weight in cast.unet.named_parameters():
        if weight.dtype == FP8:
            rounded.unet.get_parameter(name).data = weight.data.float()
    settings = {"steps": 3, "gradient_checkpointing": checkpointing}
    edits = [
        tune(pipeline, PHOTO, "a dog", embedding=EmbeddingSettings(**settings), tuning=TuningSettings(**settings))
        for pipeline in (cast, rounded)
    ]
    torch.testing.assert_close(edits[0].optimized, edits[1].optimized)
    torch.testing.assert_close(edits[0].update, edits[1].update)
    assert cast.unet.conv_norm_out.weight.dtype == FP8
