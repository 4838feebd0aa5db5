"""GGUF through ComfyUI-GGUF itself: IMAGIC_PACKS names a folder that the pack is in, as `make compat` does."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
import torch

from .family import PREFIX, _Storage, build, detect
from .rows import FAMILIES

gguf = pytest.importorskip("gguf")
PACK = Path(os.environ.get("IMAGIC_PACKS", ".")) / "ComfyUI-GGUF"
pytestmark = pytest.mark.skipif(not PACK.is_dir(), reason="set IMAGIC_PACKS to a folder with ComfyUI-GGUF in it")

# Flux and its like overwrite what autograd has kept, the others do not.
NAMES = ("Flux.1 dev", "SD 3", "Qwen-Image")
KINDS = ("F16", "BF16", "Q8_0", "Q4_0", "Q5_1")


@pytest.fixture(scope="session")
def theirs(comfyui):
    """The pack, imported as the host does."""
    spec = importlib.util.spec_from_file_location("ComfyUI_GGUF", PACK / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return {name: sys.modules[f"{spec.name}.{name}"] for name in ("ops", "nodes", "dequant")}


def tiny(theirs, family, kind: str) -> tuple:
    """A tiny MODEL of quantized weights, built of the pack's tensors and layers, and a plain one of the same."""
    plain, kind = build(family), gguf.GGMLQuantizationType[kind]
    network, state = plain.model.diffusion_model, {}
    for name, weight in network.state_dict().items():
        fits = name.endswith("weight") and "block" in name and weight.ndim == 2 and weight.shape[1] % 32 == 0
        of = kind if fits else gguf.GGMLQuantizationType.F32
        data = torch.from_numpy(gguf.quants.quantize(weight.numpy(), of)) if fits else weight.clone()
        state[name] = theirs["ops"].GGMLTensor(data, tensor_type=of, tensor_shape=weight.shape)
        weight.copy_(theirs["dequant"].dequantize_tensor(state[name], torch.float32).as_subclass(torch.Tensor))
    config, marks = detect(family)
    config.unet_config.update(family.small)
    config.set_inference_dtype(torch.float32, None)
    config.custom_operations = theirs["ops"].GGMLOps
    model = config.get_model(_Storage(marks), prefix=PREFIX, device=torch.device("cpu"))
    model.diffusion_model.load_state_dict(state, strict=False)
    model.diffusion_model.eval()
    patcher = type(plain)(model, load_device=plain.load_device, offload_device=plain.offload_device)
    return theirs["nodes"].GGUFModelPatcher.clone(patcher), plain


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", [row for row in FAMILIES if row.name in NAMES], ids=lambda row: row.name)
def test_learns_what_the_same_numbers_in_fp32_learn(workbench, theirs, family, kind):
    with torch.inference_mode():
        models = tiny(theirs, family, kind)
    reached = []
    for model in models:
        bench = workbench(family, model=model)
        optimized = bench.optimize()["result"][0]
        for tune, checkpointing in (("LoRA", False), ("LoRA all layers", True)):
            answer = bench.tune(optimized, tune, gradient_checkpointing=checkpointing)
            summary = answer["ui"]["imagic"][0]
            gain = summary["validation_before"] - summary["validation_after"]
            assert gain > 0
            # The pack's own way of patching gives what was trained beside.
            tuned = bench.loss(answer["result"][0], optimized)
            assert tuned == pytest.approx(summary["validation_after"], abs=0.02 * gain)
            reached += [summary["validation_before"], summary["validation_after"]]
    half = len(reached) // 2
    assert reached[:half] == pytest.approx(reached[half:], rel=1e-4)


def test_full_weights_are_refused_by_name(workbench, theirs):
    family = next(row for row in FAMILIES if row.name == "SD 3")
    with torch.inference_mode():
        model, _ = tiny(theirs, family, "Q8_0")
    bench = workbench(family, model=model)
    with pytest.raises(ValueError, match=r"quantized \(GGMLTensor of .*\).*choose LoRA"):
        bench.tune(bench.target, "attention")
