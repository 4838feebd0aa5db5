"""Starting and stopping a host, with make-believe hosts."""

import json
import sys

import pytest
import requests

from scripts import hosts
from scripts.server import PACK_NAME, Server, ServerError, link_pack

ANSWERS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(" ".join(sys.argv[1:]).encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def host(tmp_path, make_host):
    """A host with this main.py, which knows these flags."""

    def make(main, *flags):
        folder = make_host(tmp_path / "host", "0.33.0", main)
        (folder / "comfy/cli_args.py").write_text("".join(f'parser.add_argument("{flag}")\n' for flag in flags))
        return hosts.host_at(folder, "test")

    return make


def test_a_host_runs_until_the_end_of_with(host, tmp_path):
    with Server(host(ANSWERS, "--port", "--cpu"), tmp_path / "home", cpu=True) as server:
        arguments = requests.get(server.address, timeout=5).text
        assert server.running
    assert not server.running
    assert "--cpu" in arguments
    assert "--user-directory" not in arguments, "a flag that this host doesn't know"


def test_a_host_is_stopped_when_the_body_fails(host, tmp_path):
    server = Server(host(ANSWERS, "--port"), tmp_path / "home", cpu=True)
    with pytest.raises(ZeroDivisionError), server:
        1 / 0  # noqa: B018
    assert not server.running


def test_a_host_that_ends_while_starting_is_reported_with_its_log(host, tmp_path):
    server = Server(host("raise SystemExit('no such device')", "--port"), tmp_path / "home", cpu=True)
    with pytest.raises(ServerError, match="no such device"):
        server.__enter__()


def test_a_host_that_runs_without_the_pack_is_an_error(host, tmp_path):
    complaint = f"print('Cannot import /some/{PACK_NAME} module for custom nodes: no such name', flush=True)\n"
    server = Server(host(complaint + ANSWERS, "--port"), tmp_path / "home", cpu=True)
    with pytest.raises(ServerError, match=r"could not load the pack: .* no such name"):
        server.__enter__()
    assert not server.running


def test_a_host_that_never_gets_ready_is_stopped(host, tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.server.READY_SECONDS", 1)
    server = Server(host("print('dawdling', flush=True); import time; time.sleep(60)"), tmp_path / "home", cpu=True)
    with pytest.raises(ServerError, match="not ready after 1 s"):
        server.__enter__()
    assert not server.running


def test_nothing_is_written_inside_the_host(host, tmp_path):
    flags = ("--port", "--input-directory", "--output-directory", "--temp-directory", "--user-directory")
    some = host(ANSWERS, *flags)
    before = sorted(some.path.rglob("*"))
    with Server(some, tmp_path / "home", cpu=True) as server:
        arguments = requests.get(server.address, timeout=5).text.split()
    assert sorted(some.path.rglob("*")) == before
    for flag in flags[1:]:
        assert str(tmp_path / "home") in arguments[arguments.index(flag) + 1]


def test_a_pack_installed_in_the_host_is_not_registered_twice(host, tmp_path):
    some = host(ANSWERS, "--port", "--whitelist-custom-nodes", "--disable-all-custom-nodes")
    (some.path / "custom_nodes" / "my-imagic").symlink_to(hosts.ROOT)
    with Server(some, tmp_path / "home", cpu=True) as server:
        arguments = requests.get(server.address, timeout=5).text
    assert "--whitelist-custom-nodes my-imagic" in arguments
    folders = json.loads((tmp_path / "home" / "extra_model_paths.yaml").read_text(encoding="utf-8"))["imagic"]
    assert folders == {"diffusion_models": str(tmp_path / "home" / "models")}


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_a_link_of_another_clone_is_replaced(tmp_path):
    (tmp_path / PACK_NAME).symlink_to(tmp_path / "gone")
    assert link_pack(tmp_path).resolve() == hosts.ROOT.resolve()
    assert link_pack(tmp_path).resolve() == hosts.ROOT.resolve()
