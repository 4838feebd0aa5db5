"""What the commands that train have in common: their options, and what they write of a model on its card."""

import argparse
from pathlib import Path

import torch

from demo import words
from demo.scenes import VALUES
from demo.training import evaluate, text_to_image

_BUILD = Path(__file__).resolve().parents[2] / "build"


def begin(name: str, about: str, build: str, flag: str, says: str) -> argparse.Namespace:
    """Read the options `folder`, which is made, `device` and one switch, `flag`; `build` is the folder by default."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    parser.add_argument("--folder", type=Path, default=_BUILD / build, help="checkpoints and caches")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(flag, action="store_true", help=says)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    # Subnormal numbers, which appear as optimiser moments fade, slow a CPU many times over.
    torch.set_flush_denormal(True)
    return options


def row(shares: dict[str, float]) -> str:
    """Shares of each attribute and of all six as cells of a table."""
    return " | ".join(f"{100 * shares[name]:.1f} %" for name in (*VALUES, "all"))


def millions(network: torch.nn.Module) -> float:
    """Of parameters."""
    return sum(p.numel() for p in network.parameters()) / 1e6


def facts(figures: dict, folder: Path, pipeline) -> dict:
    """What every card says: sizes of the model in `folder`, and what `evaluate.measure` found."""
    weights = [path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json")]
    quality = figures["reconstruction_db"]
    return {
        "megabytes": sum(path.stat().st_size for path in weights) / 1e6,
        "vae_parameters": millions(pipeline.vae),
        # Of its table only the rows in use are kept.
        "text_parameters": millions(pipeline.text_encoder.encoder) + 1e-6 * text_to_image.WIDTH * len(words.TOKEN_IDS),
        **{f"psnr_{name}": quality[name] for name in ("mean", "least", "pictures")},
        "guidance": evaluate.GUIDANCE,
        "sampling_steps": evaluate.SAMPLING_STEPS,
        "samples_count": figures["samples_count"],
        "samples": row(figures["samples"]),
    }
