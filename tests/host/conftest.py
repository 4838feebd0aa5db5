"""Tests on a real ComfyUI: its modules in this process, and a server of it in another.

ComfyUI's modules are global to a process, so one pytest run tests one host: `--comfyui PATH`. `make test` goes
through all of them.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

from scripts import hosts
from scripts.client import Client
from scripts.server import Server, link_pack
from tests.host.studio import Studio

FOLDER = Path(__file__).parent
HOST = pytest.StashKey[hosts.Host]()


def pytest_configure(config):
    """Make the host importable before any test module is read, so that those may import `comfy` at the top."""
    path = config.getoption("--comfyui")
    host = hosts.host_at(Path(path).absolute(), "--comfyui") if path else hosts.find()
    config.stash[HOST] = host
    # First on the path, or our `nodes/` would hide the host's `nodes.py`.
    sys.path.insert(0, str(host.path))
    sys.pycache_prefix = str(hosts.ROOT / "build" / "pycache")  # no file of ours in the host's folders
    # Parsing is off unless the host's main.py turns it on, so the host never sees pytest's own arguments.
    importlib.import_module("comfy.cli_args").args.cpu = True


def pytest_report_header(config):
    """Name the host on top of the report."""
    return f"host: {config.stash[HOST]}"


def pytest_collection_modifyitems(items):
    """Everything in this folder is a host test."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.host)


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
def server(pytestconfig, tmp_path_factory):
    """The host as a server of its own, with the pack in it."""
    with Server(pytestconfig.stash[HOST], tmp_path_factory.mktemp("server"), cpu=True) as running:
        yield running


@pytest.fixture
def client(server):
    """A fresh connection to the server."""
    with Client(server.address) as connection:
        yield connection


@pytest.fixture(scope="session")
def studio(pack):
    """The demo model and a photo, with every node at hand."""
    return Studio(pack)
