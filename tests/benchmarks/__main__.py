"""How fast a step is and how much memory it takes, as ratios within one run; writes RESULTS.md and results.json.

    make benchmark                                        both models; up to an hour on two cores
    make benchmark ARGS="--models demo"                   a quick look, written to build/benchmarks
    make benchmark ARGS="--full-size"                     an edit at real sizes instead: memory and seconds
    make benchmark ARGS="--flux"                          does Flux.1 fit on 24 GB: what its blocks keep
    make benchmark PEER=path/imagic_stable_diffusion.py   with that diffusers community pipeline beside ours

Each measurement runs in a process of its own, so that its peak of memory is its own.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from statistics import median

import torch

from scripts import hosts

from . import flux, full_size, host, models
from .measurements import LOOP_SAMPLES, RANK, RUNS
from .memory import GIVES_BACK

HERE, QUICK = Path(__file__).parent, hosts.ROOT / "build" / "benchmarks"
RESULTS = HERE / "RESULTS.md"

# Figure -> (what it is, its target, whether more is better, measurement, the one it is divided by).
FIGURES = {
    "stage_a_step_over_forward": ("stage-A step / forward", 2.2, False, "stage_a", None),
    "lora_step_over_forward": (f"LoRA step, rank {RANK} / forward", 2.3, False, "lora", None),
    "lora_checkpointed_step_over_forward": ("the same with checkpointing", 3.3, False, "lora_checkpointed", None),
    "tuning_memory_over_sampling": (
        "peak memory of tuning, LoRA with checkpointing / of sampling",
        1.3,
        False,
        "tuning_memory",
        "sampling_memory",
    ),
    "train_lora_step_over_ours": ("step of ComfyUI's Train LoRA / ours", 4.0, True, "train_lora", "host_lora"),
    "peer_stage_a_over_ours": ("peer's step of stage A / ours", 1.0, True, "peer_a", "stage_a"),
    "peer_stage_b_over_ours": ("peer's step of stage B / ours", 1.6, True, "peer_b", "lora"),
    "peer_memory_over_ours": ("peer's peak memory of stage B / ours", 2.0, True, "peer_b", "lora"),
    "loop_overhead": ("share of a step outside forward, backward, optimizer", 0.03, False, "loop", None),
}
MEMORY = {"tuning_memory_over_sampling", "peer_memory_over_ours"}
ONLY_MEMORY = {"sampling_memory", "tuning_memory"}
ON_HOST = {"loop", "host_lora", "train_lora"}


def measure(name: str, model: str) -> dict:
    """What a measurement printed, or {"reason": why there is nothing}."""
    if name.startswith("peer") and not os.environ.get("PEER"):
        return {"reason": "no PEER was named"}
    if name in ON_HOST:
        try:
            host.find()
        except hosts.HostError as error:
            return {"reason": str(error)}
    print(f"{model}: {name} ...", flush=True)
    command = [sys.executable, "-m", "tests.benchmarks.measurements", name, model]
    environment = os.environ | (GIVES_BACK if name in ONLY_MEMORY else {})  # which slows down what is timed
    done = subprocess.run(command, capture_output=True, text=True, cwd=hosts.ROOT, env=environment)
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        return {"reason": f"it ended with exit code {done.returncode}: {' '.join(last)}"}
    return json.loads(done.stdout.splitlines()[-1])


def figure(name: str, measured: dict[str, dict]) -> dict:
    """A figure's median, target and single runs; null and a reason where something it needs could not be run."""
    _, target, _, above, below = FIGURES[name]
    parts = [measured[part] for part in (above, below) if part]
    if reasons := [part["reason"] for part in parts if "reason" in part]:
        return {"value": None, "target": target, "runs": [], "reason": reasons[0]}
    if name in MEMORY:
        runs = [parts[0]["peak"] / parts[1]["peak"]]
    elif below:
        runs = [one / other for one, other in zip(parts[0]["ratios"], parts[1]["ratios"], strict=True)]
    else:
        runs = parts[0]["ratios"]
    return {"value": round(median(runs), 3), "target": target, "runs": [round(run, 3) for run in runs]}


def collect(chosen: list[str]) -> dict[str, dict]:
    """All figures by name; those of the demo model begin with "demo_"."""
    found = {}
    for model in chosen:
        needed = dict.fromkeys(part for *_, above, below in FIGURES.values() for part in (above, below) if part)
        measured = {name: measure(name, model) for name in needed}
        prefix = "" if model == "sd15" else f"{model}_"
        found |= {f"{prefix}{name}": figure(name, measured) for name in FIGURES}
    return found


def markdown(results: dict[str, dict], command: str) -> str:
    lines = [
        "# Benchmark\n",
        f"Made by `{command}` on {date.today()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"{platform.system()} {platform.machine()}, {'CUDA' if torch.cuda.is_available() else 'CPU'}, "
        f"{torch.get_num_threads()} threads, fp32.\n",
        f"Ratios within one run, medians of {RUNS} steps after the first. Each step's time is divided by that of a "
        "plain forward on the same batch right after it, and where two trainers are compared, these quotients are. One "
        f"noisy latent a step, of 256 px at Stable Diffusion 1.5's size and 128 px for the demo model; {LOOP_SAMPLES} "
        "for the loop's overhead, which is measured on the node on a real host. Memory is the process's peak, "
        "weights and libraries included, of one run, with two latents at a time both in sampling and in tuning, "
        "there of 512 px at Stable Diffusion 1.5's size and with an allocator that gives back what is freed.\n",
        "| figure | target | Stable Diffusion 1.5's size | demo model |",
        "|---|---|---|---|",
    ]
    for name, (title, target, more, *_) in FIGURES.items():
        cells = (_cell(results.get(key)) for key in (name, f"demo_{name}"))
        lines.append(f"| {title} | {'≥' if more else '≤'} {target:g} | {' | '.join(cells)} |")
    reasons = {name: values["reason"] for name, values in results.items() if "reason" in values}
    lines += ["", *(f"- `{name}` could not be run: {reason}" for name, reason in reasons.items())]
    return "\n".join(lines).rstrip() + "\n"


def _cell(values: dict | None) -> str:
    if values is None or values["value"] is None:
        return "–"
    low, high = min(values["runs"]), max(values["runs"])
    return f"**{values['value']:.2f}**" + (f" ({low:.2f} – {high:.2f})" if len(values["runs"]) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=list(models.SIZES), default=list(models.SIZES))
    parser.add_argument("--full-size", action="store_true", help="measure only what `full_size` does")
    parser.add_argument("--flux", action="store_true", help="measure only what `flux` does")
    options = parser.parse_args()
    if options.full_size or options.flux:
        part = full_size if options.full_size else flux
        part.run()
        ratios = RESULTS.read_text(encoding="utf-8").split("\n## ")[0] if RESULTS.exists() else "# Benchmark\n"
        RESULTS.write_text(ratios + full_size.markdown() + flux.markdown(), encoding="utf-8")
        print(part.markdown())
        return
    results = collect(options.models)
    folder = HERE if set(options.models) == set(models.SIZES) else QUICK
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = (
        markdown(results, " ".join(["python -m tests.benchmarks", *sys.argv[1:]]))
        + full_size.markdown()
        + flux.markdown()
    )
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\nWritten to {folder}")


if __name__ == "__main__":
    main()
