"""Weights in every precision that a host loads: training stays finite, learns, and agrees with fp32."""

import dataclasses
from contextlib import ExitStack

import pytest
import torch
from torch import nn

from tests.host.ready import ready_to_train

from .family import build
from .rows import FAMILIES

STEPS = 200
FP8, BF16 = torch.float8_e4m3fn, torch.bfloat16
# The smallest UNet there is: one resolution, one block with attention, nothing in the middle.
SD1 = next(row for row in FAMILIES if row.name == "SD 1.x")
SMALLEST = {"channel_mult": [1], "num_res_blocks": [1], "transformer_depth": [1], "transformer_depth_output": [0, 0]}
SMALLEST["transformer_depth_middle"] = -2
ROW = dataclasses.replace(SD1, small={**SD1.small, **SMALLEST}, latent=(4, 8, 8))

# What the weights are in, what is computed in (None: the same), and how far losses may be from those of fp32.
PRECISIONS = {
    "fp16": (torch.float16, None, 0.01),
    "fp16 cast to fp32": (torch.float16, torch.float32, 1e-4),
    "bf16": (torch.bfloat16, None, 0.03),
    "bf16 cast to fp32": (torch.bfloat16, torch.float32, 1e-4),
    "fp8 cast to bf16": (FP8, torch.bfloat16, 0.03),
    "fp8 cast to fp32": (FP8, torch.float32, 1e-4),
}


@torch.inference_mode()
def same_weights(model):
    """MODEL with weights that every precision here can hold, so that what differs is the computation."""
    networks = model.model.diffusion_model, build(ROW).model.diffusion_model
    for weight, value in zip(*[network.parameters() for network in networks], strict=True):
        weight.copy_(value.to(FP8))
    return model


def learned(bench) -> list[float]:
    """Validation losses before and after both stages, the second of many steps, which are finite and fall."""
    embedding = bench.optimize(steps=10, samples=1, learning_rate=0.03)
    tuned = bench.tune(embedding["result"][0], "LoRA", steps=STEPS, samples=1, learning_rate=1e-3)
    found = []
    for answer in (embedding, tuned):
        summary = answer["ui"]["imagic"][0]
        assert torch.isfinite(torch.tensor(answer["result"][-1]["loss"])).all()
        assert summary["validation_after"] < summary["validation_before"]
        found += [summary["validation_before"], summary["validation_after"]]
    assert embedding["result"][0][0][0].dtype == torch.float32
    assert {tensor.dtype for tensor in tuned["result"][1].values()} == {torch.float32}
    assert bench.weights_are_untouched()
    return found


@pytest.fixture(scope="module")
def in_fp32(workbench):
    return learned(workbench(ROW, model=same_weights(build(ROW))))


@pytest.mark.parametrize("name", PRECISIONS)
def test_200_steps_learn_what_fp32_learns(workbench, in_fp32, name):
    dtype, manual_cast, tolerance = PRECISIONS[name]
    bench = workbench(ROW, model=same_weights(build(ROW, dtype, manual_cast)))
    weights = list(bench.model.model.diffusion_model.parameters())
    assert all(weight.is_inference() and weight.dtype == dtype for weight in weights)
    assert learned(bench) == pytest.approx(in_fp32, rel=tolerance)


def test_full_weights_of_8_bits_are_refused(workbench):
    bench = workbench(ROW, model=build(ROW, FP8, torch.float32))
    for tune in ("attention", "all weights"):
        with pytest.raises(ValueError, match=r"quantized .*choose LoRA"):
            bench.tune(bench.target, tune)


def kept_by(bench, checkpointing: bool) -> int:
    """Bytes that autograd keeps of a forward pass, beside the network's own weights."""
    with ready_to_train(bench, bench.model, bench.latent["samples"], bench.target) as ready:
        denoiser, latent, text = ready
        own = {weight.untyped_storage().data_ptr() for weight in denoiser.network.parameters()}
        text["cross_attn"].requires_grad_()
        kept = {}

        def keep(tensor):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = tensor.detach()
            return tensor.detach()

        with ExitStack() as stack:
            if checkpointing:
                stack.enter_context(bench.module("imagic.checkpointing").checkpointed(denoiser.network))
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor))
            output = denoiser(latent.requires_grad_(), denoiser.sigma(torch.tensor([0.5])), text)
        assert output.requires_grad
        return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


def test_checkpointing_keeps_no_copy_of_the_weights_that_the_host_casts(workbench):
    """Without it autograd keeps what a layer computed with: on a large model as much as the weights in 16 bits."""
    casting, plain = (workbench(ROW, model=same_weights(build(ROW, *how))) for how in ((FP8, BF16), (BF16, None)))
    block = casting.model.model.diffusion_model.input_blocks[1]
    copies = BF16.itemsize * sum(layer.weight.numel() for layer in block.modules() if isinstance(layer, nn.Linear))
    assert kept_by(casting, False) - kept_by(plain, False) > copies > 0
    # Layers outside of the blocks cast as well.
    assert kept_by(casting, True) - kept_by(plain, True) < copies / 2
