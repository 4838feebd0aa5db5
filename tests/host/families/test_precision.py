"""Weights in every precision that a host loads: training stays finite, learns, and agrees with fp32."""

import pytest
import torch

from .rows import FAMILIES

ROW = next(row for row in FAMILIES if row.name == "SD 1.x")
STEPS = 200
FP8 = torch.float8_e4m3fn

# What the weights are in, what is computed in (None: the same), and how far losses may be from those of fp32.
PRECISIONS = {
    "fp32": (torch.float32, None, 1e-6),
    "fp16": (torch.float16, None, 0.01),
    "fp16 cast to fp32": (torch.float16, torch.float32, 1e-4),
    "bf16": (torch.bfloat16, None, 0.03),
    "fp8 cast to bf16": (FP8, torch.bfloat16, 0.03),
    "fp8 cast to fp32": (FP8, torch.float32, 1e-4),
}


@pytest.fixture(params=PRECISIONS)
def pair(request, workbench):
    """A model in some precision, the same weights in fp32, and the tolerance."""
    dtype, manual_cast, tolerance = PRECISIONS[request.param]
    bench, reference = workbench(ROW, dtype=dtype, manual_cast=manual_cast), workbench(ROW)
    rounded = {name: tensor.float() for name, tensor in bench.model.model.diffusion_model.state_dict().items()}
    with torch.inference_mode():
        reference.model.model.diffusion_model.load_state_dict(rounded)
    return bench, reference, tolerance


def test_200_steps_of_either_stage_learn_what_fp32_learns(pair):
    bench, reference, tolerance = pair
    weights = list(bench.model.model.diffusion_model.parameters())
    assert all(weight.is_inference() for weight in weights)
    results = {}
    for name, each in (("theirs", bench), ("fp32", reference)):
        embedding = each.optimize(steps=STEPS, samples=1, learning_rate=0.01)
        tuned = each.tune(embedding["result"][0], "LoRA", steps=STEPS, samples=1, learning_rate=1e-3)
        for answer in (embedding, tuned):
            summary = answer["ui"]["imagic"][0]
            assert torch.isfinite(torch.tensor(answer["result"][-1]["loss"])).all()
            assert summary["validation_after"] < summary["validation_before"]
            results.setdefault(name, []).extend([summary["validation_before"], summary["validation_after"]])
        assert embedding["result"][0][0][0].dtype == torch.float32
        assert {tensor.dtype for tensor in tuned["result"][1].values()} == {torch.float32}
    assert results["theirs"] == pytest.approx(results["fp32"], rel=tolerance)
    assert bench.weights_are_untouched()


def test_full_weights_of_8_bits_are_refused(workbench):
    bench = workbench(ROW, dtype=FP8, manual_cast=torch.bfloat16)
    for tune in ("attention", "all weights"):
        with pytest.raises(ValueError, match=r"quantized .*choose LoRA"):
            bench.tune(bench.target, tune)
