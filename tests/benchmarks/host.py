"""The pack's nodes and ComfyUI's Train LoRA side by side on a real host, on one MODEL."""

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch

from scripts import hosts
from scripts.server import link_pack

from . import models


def find() -> hosts.Host:
    """The newest host. Raises HostError if it has no Train LoRA, or one that is not described by a schema."""
    host = hosts.find()
    file = host.path / "comfy_extras" / "nodes_train.py"
    if not file.is_file() or "define_schema" not in file.read_text(encoding="utf-8"):
        raise hosts.HostError(
            f"ComfyUI {host.version} has no Train LoRA to compare with: set COMFYUI_PATH to {hosts.RELEASE}."
        )
    return host


@contextmanager
def studio(name: str) -> Iterator["Studio"]:
    """Everything runs in inference mode, as the host runs nodes."""
    with loaded_pack() as pack, torch.inference_mode():
        yield Studio(name, pack)


@contextmanager
def loaded_pack() -> Iterator[ModuleType]:
    """The pack's root module, and the host's modules importable."""
    host = find()
    # First on the path, or our `nodes/` would hide the host's `nodes.py`.
    sys.path.insert(0, str(host.path))
    sys.pycache_prefix = str(hosts.ROOT / "build" / "pycache")  # no file of ours in the host's folders
    import comfy.cli_args

    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    os.environ["IMAGIC_CACHE_GB"] = "0"  # every run is measured
    with tempfile.TemporaryDirectory() as folder:
        yield _load_pack(Path(folder))


def _load_pack(folder: Path):
    """The pack's root module, imported as hosts import custom nodes."""
    link = link_pack(folder)
    spec = importlib.util.spec_from_file_location("imagic_pack", link / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Studio:
    """A MODEL of the wanted size, and both trainers."""

    def __init__(self, name: str, pack):
        import comfy.latent_formats
        import comfy.supported_models_base

        class Config(comfy.supported_models_base.BASE):
            unet_extra_config = {}
            latent_format = comfy.latent_formats.SD15

        self.config = Config(models.host_unet_config(name))
        self.pack = pack
        self.model = self._make()
        latent, text = models.example(name)
        self.latent, self.tokens = {"samples": latent}, text["cross_attn"]
        self.conditioning = [[self.tokens, {}]]

    @property
    def network(self) -> torch.nn.Module:
        return self.model.model.diffusion_model

    def forward(self) -> torch.Tensor:
        device = next(self.network.parameters()).device  # of a GPU the network only is there while it is at work
        latent, tokens = self.latent["samples"].to(device), self.tokens.to(device)
        with torch.inference_mode():
            return self.network(latent, torch.full((1,), 500.0, device=device), context=tokens)

    def fine_tune(self, **changes) -> None:
        """This pack's stage B; what is not named here is the node's own default."""
        node = self.pack.NODE_CLASS_MAPPINGS["ImagicFineTuneUNet"]()
        widgets = {name: options[-1] for name, options in node.INPUT_TYPES()["required"].items()}
        settings = {name: options["default"] for name, options in widgets.items() if "default" in options}
        node.tune(self.model, self.latent, self.conditioning, **settings | changes)

    def train_lora(self, steps: int, rank: int) -> None:
        """ComfyUI's, fp32 throughout; what is not named here is the node's own default."""
        from comfy_extras.nodes_train import TrainLoraNode

        settings = {item.id: getattr(item, "default", None) for item in TrainLoraNode.define_schema().inputs}
        settings |= {"model": self.model, "latents": self.latent, "positive": self.conditioning}
        settings |= {"steps": steps, "rank": rank, "training_dtype": "fp32", "lora_dtype": "fp32"}
        settings |= {"gradient_checkpointing": False}
        TrainLoraNode.execute(**{key: [value] for key, value in settings.items()})

    def _make(self, disable_dynamic: bool = True):
        """A fresh ModelPatcher; Train LoRA asks for one of its own, by the way that core loaders register."""
        import comfy.model_base
        import comfy.model_management
        import comfy.model_patcher

        device = comfy.model_management.get_torch_device()
        offload = comfy.model_management.unet_offload_device()
        with torch.inference_mode(False):
            model = comfy.model_base.BaseModel(self.config, comfy.model_base.ModelType.EPS, device=offload).eval()
            models.fill(model.diffusion_model)
        patcher = comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload)
        patcher.cached_patcher_init = (self._make, ())
        return patcher
