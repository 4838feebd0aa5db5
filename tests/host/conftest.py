"""Tests on a real ComfyUI: its modules in this process, and a server of it in another.

ComfyUI's modules are global to a process, so one pytest run tests one host: `--comfyui=PATH`. `make test` goes
through all of them.
"""

import functools
import importlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest
import torch

from scripts import hosts
from scripts.client import Client
from scripts.server import Server, link_pack
from tests import experience as experience_file
from tests import hardening

FOLDER = Path(__file__).parent
HOST = pytest.StashKey[hosts.Host]()


def pytest_configure(config):
    """Make the host importable before any test module is read, so that those may import `comfy` at the top."""
    path = config.getoption("--comfyui")
    host = hosts.host_at(Path(path).absolute(), "--comfyui") if path else hosts.find()
    config.stash[HOST] = host
    # Every test trains what it tests; test_finished alone keeps any of it.
    os.environ["IMAGIC_CACHE_GB"] = "0"
    # First on the path, or our `nodes/` would hide the host's `nodes.py`.
    sys.path.insert(0, str(host.path))
    sys.pycache_prefix = str(hosts.ROOT / "build" / "pycache")  # no file of ours in the host's folders
    # Parsing is off unless the host's main.py turns it on, so the host never sees pytest's own arguments.
    importlib.import_module("comfy.cli_args").args.cpu = not config.getoption("--gpu")
    torch.backends.cudnn.allow_tf32 = False  # tests ask for what fp32 gives


def pytest_report_header(config):
    """Name the host on top of the report."""
    return f"host: {config.stash[HOST]}"


def pytest_collection_modifyitems(config, items):
    """Everything in this folder is a host test, and on a GPU some have nothing to ask."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.host)
    if config.getoption("--gpu"):
        left_out = [item for item in items if item.get_closest_marker("cpu")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def comfyui(pytestconfig, tmp_path_factory):
    """The host, its modules imported into this process and its folders pointed away from it."""
    home = tmp_path_factory.mktemp("comfyui")
    folders = importlib.import_module("folder_paths")
    folders.set_output_directory(str(home / "output"))
    folders.set_input_directory(str(home / "input"))
    folders.set_temp_directory(str(home / "temp"))
    for module in ("comfy.model_management", "comfy.sd", "comfy.utils", "nodes"):
        importlib.import_module(module)
    return pytestconfig.stash[HOST]


@pytest.fixture(scope="session")
def pack(comfyui, tmp_path_factory):
    """The pack's root module, imported under the name and in the way in which hosts import custom nodes."""
    folder = link_pack(tmp_path_factory.mktemp("custom_nodes"))
    name = str(folder).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def figures(request, pytestconfig, comfyui):
    """For tests that count: what tests/hardening.json is to say of this host, by its keys.

    Written down, if asked to, when the last test is over and none has failed.
    """
    found: dict[str, float] = {}
    yield found
    if pytestconfig.getoption("--write-hardening") and not request.session.testsfailed:
        hardening.write(comfyui.version, found)


@pytest.fixture(scope="session")
def experience(request, pytestconfig):
    """For tests that look at what users see first: what docs/experience.json is to say, by its keys.

    Written down, if asked to, when the last test is over and none has failed.
    """
    found: dict = {}
    yield found
    if pytestconfig.getoption("--write-experience") and not request.session.testsfailed:
        experience_file.write(found)


@pytest.fixture(scope="session")
def server(pytestconfig, tmp_path_factory):
    """The host as a server of its own, with the pack in it."""
    cpu = not pytestconfig.getoption("--gpu")
    with Server(pytestconfig.stash[HOST], tmp_path_factory.mktemp("server"), cpu=cpu) as running:
        yield running


@pytest.fixture
def client(server):
    """A fresh connection to the server."""
    with Client(server.address) as connection:
        yield connection


TARGET = "a blue cat sitting on the grass"


def in_inference_mode(method):
    @functools.wraps(method)
    def run(*args, **kwargs):
        with torch.inference_mode():
            return method(*args, **kwargs)

    return run


class Studio:
    """The demo model, a photo and short runs of each stage."""

    @in_inference_mode
    def __init__(self, pack):
        self.pack = pack
        self.nodes = pack.NODE_CLASS_MAPPINGS
        self.host = importlib.import_module("nodes")
        self.model, self.clip, self.vae = self.nodes["ImagicDemoCheckpoint"]().load()
        # Any picture does here: these tests ask how a stage runs, not how well it edits.
        ramp = torch.linspace(0, 1, 128)
        self.latent = self.encode(
            torch.stack(
                [ramp.expand(128, 128), ramp[:, None].expand(128, 128) ** 2, ramp.expand(128, 128).flip(0)], -1
            )[None]
        )
        self.target, self.negative = self.text(TARGET), self.text("")

    @in_inference_mode
    def encode(self, pixels: torch.Tensor) -> dict:
        return {"samples": self.vae.encode(pixels)}

    @in_inference_mode
    def decode(self, latent: dict) -> torch.Tensor:
        return self.vae.decode(latent["samples"])

    @in_inference_mode
    def text(self, text: str) -> list:
        return self.host.CLIPTextEncode().encode(self.clip, text)[0]

    @in_inference_mode
    def optimize(self, **changes) -> dict:
        """The whole answer of Optimize Embedding."""
        inputs = {"model": self.model, "latent": self.latent, "conditioning": self.target}
        inputs |= {"steps": 3, "learning_rate": 1e-2, "schedule": "cosine", "samples": 2, "seed": 0} | changes
        return self.nodes["ImagicOptimizeEmbedding"]().optimize(**inputs)

    @in_inference_mode
    def tune(self, **changes) -> dict:
        """The whole answer of Fine-Tune UNet."""
        inputs = {"model": self.model, "latent": self.latent, "conditioning": self.target, "tune": "LoRA", "rank": 4}
        inputs |= {
            "steps": 3,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "samples": 2,
            "gradient_checkpointing": False,
            "seed": 0,
        } | changes
        return self.nodes["ImagicFineTuneUNet"]().tune(**inputs)

    @in_inference_mode
    def interpolate(self, optimized: list, target: list, eta: float = 0.8, sweep: str = "") -> list:
        return self.nodes["ImagicInterpolateEmbedding"]().interpolate(optimized, target, eta, sweep)[0]

    @in_inference_mode
    def keep(self, model, latent: dict, optimized: list, target: list, threshold: float) -> tuple:
        return self.nodes["ImagicKeepPhoto"]().keep(model, latent, optimized, target, threshold)["result"]

    @in_inference_mode
    def sample(self, model, conditioning: list, **changes) -> dict:
        inputs = {"model": model, "positive": conditioning, "negative": self.negative, "latent_image": self.latent}
        inputs |= {"seed": 0, "steps": 2, "cfg": 3.0, "sampler_name": "ddim", "scheduler": "normal", "denoise": 1.0}
        return self.host.KSampler().sample(**inputs | changes)[0]

    def levels(self, steps: int) -> torch.Tensor:
        """The noise levels of the "normal" schedule, as nodes that give SIGMAS make them."""
        samplers = importlib.import_module("comfy.samplers")
        if hasattr(samplers, "calculate_sigmas"):
            return samplers.calculate_sigmas(self.model.get_model_object("model_sampling"), "normal", steps)
        return samplers.calculate_sigmas_scheduler(self.model.model, "normal", steps)

    @in_inference_mode
    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of what the base MODEL's network holds now."""
        return {name: tensor.clone().cpu() for name, tensor in self.model.model.state_dict().items()}

    def module(self, name: str):
        """A module of the pack as the host imported it, e.g. "imagic.training"."""
        return importlib.import_module(f"{self.pack.__name__}.{name}")


@pytest.fixture(scope="session")
def studio(pack):
    """The demo model and a photo, with every node at hand."""
    return Studio(pack)
