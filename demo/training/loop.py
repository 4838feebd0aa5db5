"""The optimisation loop all stages share."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

_CHECKPOINT_EVERY = 200
_REPORT_EVERY = 50


def spent(stage: str, folder: Path) -> dict[str, float]:
    """Steps, and wall-clock minutes of training, that stand behind a stage's checkpoint; 0 where there is none."""
    path = folder / f"{stage}.pt"
    saved = torch.load(path, weights_only=True, mmap=True) if path.exists() else {"step": 0, "seconds": 0.0}
    return {"steps": saved["step"], "minutes": saved["seconds"] / 60}


def device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def average_so_far(stage: str, network: nn.Module, folder: Path) -> nn.Module:
    """`network` with the weights that `fit` would return if it ended at its last checkpoint."""
    average = AveragedModel(network)
    average.load_state_dict(torch.load(folder / f"{stage}.pt", weights_only=True, mmap=True)["average"])
    return average.module.eval()


def fit(
    stage: str,
    network: nn.Module,
    loss: Callable[[nn.Module, torch.Generator, float], Tensor],
    *,
    steps: int,
    rate: float,
    averaging: float,
    seed: int,
    folder: Path,
    warmup: int = 100,
    weight_decay: float = 0.0,
    horizon: int | None = None,
    cooldown: int = 0,
) -> nn.Module:
    """Minimise `loss(network, generator, progress)` with AdamW and return the running average of the network.

    `rate` falls along a cosine to a fiftieth at `horizon`, by default the last step. An earlier end is as good if the
    rate falls evenly to nothing over some last steps, the `cooldown` (arXiv 2405.18392). `averaging` is the share the
    average keeps at each step.

    A step draws its chances from a generator of its own, so a run that continues from `folder`/`stage`.pt sees what an
    uninterrupted one would have seen. That generator is the CPU's, wherever the network is.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.98), weight_decay=weight_decay, fused=True)

    def share_of_rate(step: int) -> float:
        cosine = 0.02 + 0.49 * (1 + math.cos(math.pi * min(1, step / (horizon or steps))))
        return cosine * min(1, (step + 1) / warmup, (steps - step) / cooldown if cooldown else 1)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share_of_rate)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(averaging))
    state = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    path, done, before = folder / f"{stage}.pt", 0, 0.0
    if path.exists():
        saved = torch.load(path, weights_only=True, map_location="cpu")
        done, before = saved.pop("step"), saved.pop("seconds")
        for name, values in saved.items():
            state[name].load_state_dict(values)

    network.train()
    smooth, started = None, time.perf_counter()
    for step in range(done, steps):
        generator = torch.Generator().manual_seed(seed * 1_000_000 + step)
        value = loss(network, generator, step / steps)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)

        smooth = value.item() if smooth is None else 0.98 * smooth + 0.02 * value.item()
        spent = time.perf_counter() - started
        if (step + 1) % _REPORT_EVERY == 0:
            each = spent / (step + 1 - done)
            print(f"{stage}: step {step + 1} of {steps}, loss {smooth:.4f}, {each:.3f} s a step", flush=True)
        if (step + 1) % _CHECKPOINT_EVERY == 0 or step + 1 == steps:
            values = {name: part.state_dict() for name, part in state.items()}
            torch.save({"step": step + 1, "seconds": before + spent, **values}, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
    return average.module.eval()
