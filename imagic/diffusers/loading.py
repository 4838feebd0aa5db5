"""A pipeline from what a user names on a command line."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

import diffusers
import torch
from diffusers import DiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import SafetensorError, safe_open

from .. import checks, model_name
from ..devices import device_of

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
# What the libraries raise of folders with damaged or missing files.
BROKEN = (OSError, ValueError, RuntimeError, SafetensorError, UnpicklingError, AttributeError, KeyError, TypeError)
# What of its layers' names tells the pipeline that a checkpoint of one file is for.
ONE_FILE = {
    "joint_blocks.": "StableDiffusion3Pipeline",
    "double_blocks.": "FluxPipeline",
    "label_emb.": "StableDiffusionXLPipeline",
    "diffusion_model.input_blocks.": "StableDiffusionPipeline",
}


def load_pipeline(
    model: str, *, device: str = "auto", dtype: str = "auto", offload: str = "none", config: str | None = None
) -> DiffusionPipeline:
    """A text-to-image pipeline, ready to be edited with.

    Args:
        model: "demo" for the one that comes with Imagic, a diffusers folder, a checkpoint of one .safetensors file, or
            an id on the Hugging Face hub, which is downloaded once.
        device: "auto" for the best there is, "cuda", "cuda:1", "mps", "cpu".
        dtype: of the weights: "float32", "float16" or "bfloat16". "auto": bfloat16 on GPUs that have it, float16 on
            older ones, else float32.
        offload: what waits in main memory until it is needed: "none", "model" for whole parts or "sequential" for
            single layers, the slowest. Both need a GPU, and accelerate. While training, single layers save memory with
            gradient checkpointing alone: without it autograd keeps their weights on the GPU.
        config: a diffusers folder of the same kind, for a checkpoint of one file: such a file has no tokenizer and no
            sizes of its parts, which else come from the hub, once. Weights there are not read.

    Raises:
        ValueError: there is no such model or device, or an argument is none that it takes.
    """
    place = device_of(device, offload)
    kind = _dtype(dtype, place)
    pipeline = _load(model, kind, config)
    if offload == "none":
        return pipeline.to(place)
    offloaded = pipeline.enable_model_cpu_offload if offload == "model" else pipeline.enable_sequential_cpu_offload
    offloaded(device=place)
    return pipeline


def _dtype(dtype: str, device: torch.device) -> torch.dtype:
    if dtype != "auto":
        return DTYPES[checks.choice("dtype", dtype, ["auto", *DTYPES])]
    if device.type != "cuda":
        return torch.float32
    # PyTorch counts older GPUs in, which emulate it slowly.
    has_bfloat16 = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if has_bfloat16 else torch.float16


def _load(model: str, dtype: torch.dtype, config: str | None) -> DiffusionPipeline:
    model_name.check(model, config)
    path = Path(model)
    if model == model_name.DEMO:
        from . import demo  # its weights are read as soon as it is imported

        return demo.pipeline(dtype)
    if path.suffix == ".safetensors":
        return _one_file(path, dtype, config)
    try:
        with quiet():
            # Weights that a model has as safetensors alone or beside pickles are read from there. Of pickles diffusers
            # warns, and PyTorch reads numbers from them and runs nothing.
            return DiffusionPipeline.from_pretrained(model, torch_dtype=dtype)
    except BROKEN as error:
        if path.is_dir():
            reason = f"it has no {error}" if isinstance(error, KeyError) else _first_line(error).rstrip(".!")
            raise ValueError(f"The model in {checks.shown(model)} cannot be loaded: {reason}.") from None
        raise ValueError(
            f"model is {checks.shown(model)}: no such folder is here, and the Hugging Face hub does not give one "
            f"({_first_line(error).rstrip('.!')}). Check its name, your connection and, for a gated model, your login."
        ) from None


def _one_file(path: Path, dtype: torch.dtype, config: str | None) -> DiffusionPipeline:
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
    except SafetensorError:
        raise ValueError(f"{path.name} is damaged or no safetensors file: download it again.") from None
    kind = next((kind for part, kind in ONE_FILE.items() if any(part in name for name in names)), None)
    if kind is None:
        raise ValueError(
            f"{path.name} is no checkpoint of Stable Diffusion, SDXL, SD3 or Flux: use one, or a diffusers folder."
        )
    if config is not None:
        _check_config(path.name, kind, config)
    try:
        with quiet():
            return getattr(diffusers, kind).from_single_file(str(path), torch_dtype=dtype, config=config)
    except SingleFileComponentError as error:
        raise ValueError(
            f"{path.name} is no whole checkpoint, with text encoder and autoencoder ({_first_line(error)}): use a "
            "diffusers folder."
        ) from None
    except (OSError, ValueError) as error:
        if config is not None:
            raise ValueError(f"{path.name} does not fit {checks.shown(config)}: {_first_line(error)}") from None
        raise ValueError(
            f"{path.name} has no tokenizer and no sizes of its parts, and the Hugging Face hub does not give them "
            f"({_first_line(error).rstrip('.!')}): connect to it once, or name a diffusers folder of the same kind as "
            "config (--config)."
        ) from None


def _check_config(name: str, kind: str, config: str) -> None:
    """Raises ValueError unless the folder is of this kind of pipeline."""
    other = DiffusionPipeline.load_config(config).get("_class_name")
    if other != kind:
        raise ValueError(
            f"config is {checks.shown(config)}, a folder of {checks.quoted(str(other))}, and {name} is a checkpoint of "
            f"{kind}: name a folder of that kind."
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without the notice that newer releases of diffusers call `torch_dtype` by another name, which older ones lack."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch_dtype` is deprecated", FutureWarning)
        yield


def _first_line(error: Exception) -> str:
    return checks.one_line(str(error).strip().partition("\n")[0], 200)
