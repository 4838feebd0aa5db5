"""Rendered scenes, kept on disk so that every stage of training sees the same ones."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from demo.scenes import SIZE, VALUES, Scene, render, sample_scene


def scenes(seed: int, count: int, held_out: bool = False) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [sample_scene(rng, held_out) for _ in range(count)]


def pictures(scenes: list[Scene]) -> np.ndarray:
    """uint8 (N, SIZE, SIZE, 3)."""
    return np.stack([render(scene) for scene in scenes])


def cached_pictures(scenes: list[Scene], cache: Path) -> np.ndarray:
    """As `pictures`, on all cores; read back from `cache`, a .npy file, if it is there."""
    if not cache.exists():
        out = np.empty((len(scenes), SIZE, SIZE, 3), np.uint8)
        with ProcessPoolExecutor() as pool:
            for i, picture in enumerate(pool.map(render, scenes, chunksize=100)):
                out[i] = picture
        np.save(cache, out)
    return np.load(cache, mmap_mode="r")


def labels(scenes: list[Scene]) -> dict[str, torch.Tensor]:
    """Per attribute the index of each scene's value: int64 (N,)."""
    return {
        name: torch.tensor([values.index(getattr(s.attributes, name)) for s in scenes])
        for name, values in VALUES.items()
    }


def to_tensor(pixels: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [-1, 1], channels last in memory."""
    x = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2)
    return x.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


def to_pixels(images: torch.Tensor) -> np.ndarray:
    """The way back, rounded and clipped."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def cached_tensor(cache: Path, make: Callable[[], torch.Tensor | np.ndarray]) -> torch.Tensor:
    """What `make` gives, kept in the .safetensors file `cache`."""
    if not cache.exists():
        save_file({"tensor": torch.as_tensor(make())}, cache)
    return load_file(cache)["tensor"]
