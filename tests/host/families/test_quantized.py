"""Quantized weights as the host's own loader makes them of a checkpoint: scaled fp8, and layers of other packs."""

import importlib

import pytest
import torch
from torch import nn

from tests.packed import PackedLinear

from .family import build
from .rows import FAMILIES
from .test_precision import FP8, learned

# The one family whose tiny checkpoint the host's own loader takes: all its sizes are found from shapes.
SD3 = next(row for row in FAMILIES if row.name == "SD 3")


def loader():
    """The host's, or nothing where it is older than SD 3 and loads no quantized weights either."""
    load = getattr(importlib.import_module("comfy.sd"), "load_diffusion_model_state_dict", None)
    assert (load is not None) == SD3.known
    return load


def scaled_checkpoints() -> tuple[dict, dict]:
    """A checkpoint whose linear layers are fp8 with a scale each, and what it stands for in fp32."""
    network = build(SD3).model.diffusion_model
    plain = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    scaled = {**plain, "scaled_fp8": torch.tensor([], dtype=FP8)}
    for name, layer in network.named_modules():
        if name.startswith("joint_blocks.") and isinstance(layer, nn.Linear):
            scale = layer.weight.abs().max().float() / torch.finfo(FP8).max
            scaled[f"{name}.weight"] = (layer.weight / scale).to(FP8)
            scaled[f"{name}.scale_weight"] = scale.clone()
            plain[f"{name}.weight"] = scaled[f"{name}.weight"].float() * scale
    return scaled, plain


def test_scaled_fp8_is_tuned_by_lora_alone_and_learns_what_fp32_learns(workbench):
    if not (load := loader()):
        return
    with torch.inference_mode():
        models = [load(weights, model_options={"dtype": torch.float32}) for weights in scaled_checkpoints()]
    bench, reference = (workbench(SD3, model=model) for model in models)
    layers = models[0].model.diffusion_model.joint_blocks.modules()
    held = [layer.weight for layer in layers if getattr(layer, "weight", None) is not None]
    assert any(weight.dtype == FP8 or type(weight.data) is not torch.Tensor for weight in held)
    with pytest.raises(ValueError, match=r"quantized .*choose LoRA"):
        bench.tune(bench.target, "all weights")
    assert learned(bench) == pytest.approx(learned(reference), rel=0.01)


def linear_by_its_attributes() -> type:
    """A layer as 4-bit loaders have it: the weight in a shape of its own."""

    class Linear(nn.Module):
        def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
            super().__init__()
            self.in_features, self.out_features = in_features, out_features
            self.weight = nn.Parameter(
                torch.zeros(out_features * in_features, 1, dtype=torch.int8), requires_grad=False
            )
            self.register_buffer("scale", torch.ones(out_features, 1), persistent=False)
            self.bias = nn.Parameter(torch.zeros(out_features), requires_grad=False) if bias else None

        def _load_from_state_dict(self, state, prefix, *_):
            weight = state[f"{prefix}weight"]
            self.scale.copy_(weight.abs().amax(1, keepdim=True) / 127)
            self.weight.copy_((weight / self.scale).round().view(-1, 1).to(torch.int8))
            if self.bias is not None:
                self.bias.copy_(state[f"{prefix}bias"])

        def forward(self, x):
            weight = self.weight.view(self.out_features, -1) * self.scale
            return nn.functional.linear(x, weight.to(x.dtype), self.bias)

    return Linear


@pytest.mark.parametrize("linear", [linear_by_its_attributes(), PackedLinear], ids=["shape", "class"])
def test_layers_of_other_packs_are_tuned_beside_if_they_say_their_sizes(workbench, linear):
    if not (load := loader()):
        return
    operations = type("Operations", (importlib.import_module("comfy.ops").manual_cast,), {"Linear": linear})
    with torch.inference_mode():
        _, plain = scaled_checkpoints()
        model = load(plain, model_options={"dtype": torch.float32, "custom_operations": operations})
    bench = workbench(SD3, model=model)
    answer = bench.optimize()
    summary = answer["ui"]["imagic"][0]
    assert summary["validation_after"] < summary["validation_before"]
    for tune in ("LoRA", "LoRA all layers"):
        summary = bench.tune(answer["result"][0], tune)["ui"]["imagic"][0]
        assert summary["validation_after"] < summary["validation_before"]
    with pytest.raises(ValueError, match=r"quantized .*int8.*choose LoRA"):
        bench.tune(bench.target, "attention")
    assert bench.weights_are_untouched()
