"""Does an edit with Flux.1 fit on a card of 24 GB? Writes flux.json and RESULTS.md.

    make benchmark ARGS="--flux"      five minutes on two cores, 7 GB; needs the newest ComfyUI

ComfyUI's own Flux at the widths of Flux.1, with 2 double and 2 single blocks of random weights. A step of each stage
on a photo of 1024 px says what autograd keeps of a block and how much more a step takes at its peak; 19 double and 38
single blocks are reckoned from it.
"""

import json
import math
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from scripts import hosts

from . import host
from .memory import allocated_at_most

FILE = Path(__file__).parent / "flux.json"
HEADING = "\n## Flux.1 on 24 GB\n"
CARD, LEFT = 24 * 2**30, 1.5 * 2**30  # of the card, what its driver, a desktop and fragments of memory take
DOUBLE, SINGLE = 19, 38
PRECISIONS = {"bf16": (torch.bfloat16, None), "fp8": (torch.float8_e4m3fn, torch.bfloat16)}
RANK, SIDE, TOKENS = 16, 128, 512  # of the LoRA; latent positions at 1024 px, 4096 tokens of it; tokens of the text
MEASURED_SIDE = {"bf16": 128, "fp8": 64}  # casting takes its time as well; what is kept grows with the tokens
STAGES = {
    "A": {"tune": None, "gradient_checkpointing": False},
    "A, checkpointing": {"tune": None, "gradient_checkpointing": True},
    "B": {"tune": "LoRA", "gradient_checkpointing": False},
    "B, checkpointing": {"tune": "LoRA", "gradient_checkpointing": True},
}
FLUX = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "vec_in_dim": 768,
    "context_in_dim": 4096,
    "hidden_size": 3072,
    "mlp_ratio": 4.0,
    "num_heads": 24,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [16, 56, 56],
    "theta": 10000,
    "qkv_bias": True,
    "guidance_embed": True,
    "txt_ids_dims": [],
}


def build(precision: str):
    """A MODEL as the host's loader makes one, its weights drawn at random."""
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models

    config = comfy.supported_models.Flux(dict(FLUX))
    config.set_inference_dtype(*PRECISIONS[precision])
    device = comfy.model_management.get_torch_device()
    model = config.get_model({}, device=device).eval()
    # The same million numbers again and again: memory asks for no sense, and to draw a billion takes minutes.
    numbers = torch.randn(2**20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for weight in model.requires_grad_(False).parameters():
            scale = 1 / math.sqrt(weight.shape[-1]) if weight.ndim > 1 else 0.1
            drawn = numbers.repeat(math.ceil(weight.numel() / len(numbers)))[: weight.numel()]
            weight.copy_((scale * drawn).view_as(weight))
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=torch.device("cpu"))


class Bench:
    """A step of each stage on one model."""

    def __init__(self, precision: str, pack):
        self.module = lambda name: __import__(f"{pack.__name__}.{name}", fromlist=["_"])
        self.denoiser = self.module("nodes.host.denoiser").HostDenoiser(build(precision), {"guidance": 3.5})
        generator = torch.Generator().manual_seed(0)
        self.side = MEASURED_SIDE[precision]
        self.latent = torch.randn(1, FLUX["in_channels"], self.side, self.side, generator=generator)
        self.text = {
            "cross_attn": torch.randn(1, TOKENS, FLUX["context_in_dim"], generator=generator),
            "pooled_output": torch.randn(1, FLUX["vec_in_dim"], generator=generator),
        }

    @property
    def network(self) -> nn.Module:
        return self.denoiser.network

    def measure(self, tune: str | None, gradient_checkpointing: bool) -> dict:
        """What a step of one sample keeps in each block, outside of them and at its peak, in bytes."""
        trained = [tensor.requires_grad_(tune is None) for tensor in self.text.values()]
        lora = self.module("imagic.adapters").LoRA(self.network, RANK, 0, only_attention=True) if tune else None
        if lora is not None:
            trained = lora.parameters()
        with ExitStack() as stack:
            if lora is not None:
                stack.enter_context(lora.attached())
            with self.module("imagic.saving").counting(self.network) as saved:
                self.forward()
            self.denoiser.overwrites = saved.overwritten
            stack.enter_context(self.module("imagic.training").keeping_overwritten(self.denoiser))
            if gradient_checkpointing:
                checkpointed = self.module("imagic.checkpointing").checkpointed
                stack.enter_context(checkpointed(self.network, saved.overwritten))
            peak = allocated_at_most(lambda: self.forward().backward())
        if not any(tensor.grad is not None and tensor.grad.abs().max() > 0 for tensor in trained):
            raise ArithmeticError("no gradient came through")
        gradients = sum(tensor.grad.nbytes for tensor in trained if tensor.grad is not None)
        for tensor in trained:
            tensor.grad = None
        kept = saved.inputs if gradient_checkpointing else saved.blocks
        block = {kind: max(size for name, size in kept.items() if kind in name) for kind in ("double", "single")}
        outside = saved.everything - sum(saved.blocks.values())
        if gradient_checkpointing:
            outside = saved.outside - sum(saved.inputs.values())
        activations = outside + 2 * block["double"] + 2 * block["single"]
        return {
            "tokens": _tokens(self.side),
            "double": block["double"],
            "single": block["single"],
            "outside": outside,
            # What else there is at the peak: a block that is computed again, its backward pass and casts of weights.
            "working": max(0, peak - activations - gradients),
            "activations": activations,
            "peak": peak,
            "trained": _numbers(lora) if tune else {"text": sum(tensor.numel() for tensor in trained)},
        }

    def forward(self) -> Tensor:
        loss = self.module("imagic.objective").denoising_loss
        noise = torch.randn(self.latent.shape, generator=torch.Generator().manual_seed(1))
        return loss(self.denoiser, self.latent, self.text, noise, torch.tensor([0.5]))[0].sum()


def _tokens(side: int) -> int:
    return side * side // FLUX["patch_size"] ** 2 + TOKENS


def _numbers(lora) -> dict[str, int]:
    """How many numbers a LoRA has in a block of each kind."""
    return {
        kind: sum(
            tensor.numel()
            for part in (lora.down, lora.up)
            for name, tensor in part.items()
            if name.startswith(f"{kind}_blocks.0.")
        )
        for kind in ("double", "single")
    }


def reckoned(precision: str, weights: dict, found: dict) -> dict:
    """Bytes of a whole Flux.1, part by part, and whether they fit."""
    size, times = PRECISIONS[precision][0].itemsize, _tokens(SIDE) / found["tokens"]
    blocks = {"text": 1, "double": DOUBLE, "single": SINGLE}
    trained = sum(blocks[kind] * count for kind, count in found["trained"].items())
    parts = {
        "weights": size * (DOUBLE * weights["double"] + SINGLE * weights["single"] + weights["rest"]),
        "double_blocks": round(times * DOUBLE * found["double"]),
        "single_blocks": round(times * SINGLE * found["single"]),
        # Too much where it was measured with fewer tokens: casts of weights and the text do not grow.
        "outside": round(times * found["outside"]),
        "working": round(times * found["working"]),
        "adam": 16 * trained,
    }
    total = sum(parts.values())
    return {**parts, "total": total, "card": CARD, "left": int(LEFT), "fits": total <= CARD - LEFT}


def measure(precision: str) -> dict:
    """Everything of one precision."""
    # Not in inference mode, as training is not.
    with host.loaded_pack() as pack, torch.inference_mode(False):
        import comfy.model_management

        comfy.model_management.in_training = True
        bench, found = Bench(precision, pack), {}
        names = {name: weight.numel() for name, weight in bench.network.named_parameters()}
        weights = {
            kind: sum(count for name, count in names.items() if name.startswith(f"{kind}_blocks.0."))
            for kind in ("double", "single")
        }
        weights["rest"] = sum(count for name, count in names.items() if "_blocks." not in name)
        for stage, options in STAGES.items():
            measured = bench.measure(**options)
            found[stage] = {"measured": measured, "reckoned": reckoned(precision, weights, measured)}
            print(f"{precision} {stage}: {found[stage]}", file=sys.stderr, flush=True)
        return {"parameters": weights, "stages": found}


def run() -> None:
    """Measure both precisions, each in a process of its own."""
    found = {}
    for precision in PRECISIONS:
        print(f"Flux.1's widths in {precision} ...", flush=True)
        command = [sys.executable, "-m", "tests.benchmarks.flux", precision]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=hosts.ROOT, check=True)
        found[precision] = json.loads(done.stdout.splitlines()[-1])
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def markdown() -> str:
    """The table of the last run; empty where there was none."""
    if not FILE.exists():
        return ""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    count = next(iter(found.values()))["parameters"]
    billions = (DOUBLE * count["double"] + SINGLE * count["single"] + count["rest"]) / 1e9
    lines = [
        f"{HEADING}\nComfyUI's Flux at Flux.1's widths with 2 + 2 blocks and random weights: one step of one sample at "
        f"{8 * SIDE} px ({SIDE * SIDE // 4} tokens of the picture, {TOKENS} of the text), LoRA of rank {RANK}. Where "
        f"fewer tokens than {_tokens(SIDE)} were measured, all but weights and Adam is scaled up. What "
        "autograd keeps of a block was counted as it saves it; the rest of the peak that torch's CPU allocator saw is "
        f"the work at hand. Total = weights ({billions:.1f} billion) + {DOUBLE} double + {SINGLE} single + outside + "
        "work + 16 bytes for each number that is trained. It fits if it leaves "
        f"{LEFT / 2**30:g} GiB of {CARD / 2**30:g} GiB free for the driver, a desktop and fragments. All in GiB.\n",
        "| precision | stage | tokens | weights | per double | per single | outside | work | Adam | total | fits |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for precision, content in found.items():
        for stage, both in content["stages"].items():
            block, total = both["measured"], both["reckoned"]
            sizes = (
                *(total["weights"], total["double_blocks"] / DOUBLE, total["single_blocks"] / SINGLE),
                *(total["outside"], total["working"], total["adam"], total["total"]),
            )
            cells = " | ".join(f"{size / 2**30:.2f}" for size in sizes)
            lines.append(
                f"| {precision} | {stage} | {block['tokens']} | {cells} | {'yes' if total['fits'] else 'no'} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print("\n" + json.dumps(measure(sys.argv[1])))
