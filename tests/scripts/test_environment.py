"""When an environment is made again, and when not."""

from pathlib import Path

import pytest

from scripts import browser, environment, hosts


@pytest.fixture
def host(tmp_path, make_host):
    """A host of a version that asks for these lines."""

    def make(version, *lines):
        folder = make_host(tmp_path / version, version)
        (folder / "requirements.txt").write_text("\n".join(lines))
        return hosts.host_at(folder, "test")

    return make


def stamp(host):
    return environment.stamp_for(host)


def test_the_same_host_is_served(host):
    some = host("0.33.0", "torch")
    assert environment.serves(stamp(some), stamp(some))


def test_an_environment_for_a_newer_host_serves_older_ones(host):
    newer, older = host("0.33.0", "torch", "blake3"), host("0.3.64", "torch")
    assert environment.serves(stamp(newer), stamp(older))
    assert not environment.serves(stamp(older), stamp(newer))


def test_other_requirements_of_the_pack_need_a_new_environment(host):
    some = host("0.33.0", "torch")
    assert not environment.serves({**stamp(some), "pack": "another"}, stamp(some))


def test_a_host_that_changed_in_place_needs_a_new_environment(host):
    some = host("0.33.0", "torch")
    before = stamp(some)
    (some.path / "requirements.txt").write_text("torch\nblake3")
    assert not environment.serves(before, stamp(some))


def test_web_parts_are_kept_apart_from_libraries(host):
    web = "comfyui-frontend-package==1.2.3"
    with_web, other_web = host("0.33.0", web, "torch"), host("0.33.1", "comfyui-frontend-package==1.2.4", "torch")
    assert environment._requirements(with_web) == (["torch"], [web])
    assert stamp(with_web)["host"] == stamp(other_web)["host"]
    assert environment.web_folder(with_web) != environment.web_folder(other_web)


def test_a_host_without_web_parts_gets_none(host):
    assert environment.web_folder(host("0.1.0", "torch", "# a remark", "", "aiohttp")) is None


def test_without_a_host_none_is_looked_for_and_any_environment_will_do(monkeypatch, tmp_path, host):
    asked = []
    monkeypatch.setattr(environment, "STAMP", tmp_path / "installed.json")
    monkeypatch.setattr(environment, "_make_venv", lambda: None)
    monkeypatch.setattr(environment, "_pip_install", lambda *arguments: asked.append(arguments))
    for name in ("find", "find_all"):
        monkeypatch.setattr(hosts, name, lambda *_: pytest.fail("looked for a host"))
    environment.prepare_without_host()
    assert any(argument.startswith("torch==") for argument in asked[0])
    environment.prepare_without_host()
    assert len(asked) == 1
    environment._install_libraries(host("0.33.0", "torch"))
    assert len(asked) == 2
    environment.prepare_without_host()
    assert len(asked) == 2


def test_an_old_python_is_one_clear_sentence(monkeypatch):
    monkeypatch.setattr(environment, "OLDEST_PYTHON", (99, 0))
    with pytest.raises(environment.SetupError, match=r"run make PYTHON=\.\.\. with 99\.0 or newer"):
        environment.prepare(all_hosts=False)


def test_pip_failing_is_one_clear_sentence(monkeypatch, executable):
    monkeypatch.setattr(environment, "PYTHON", executable("python-without-network", "exit 1"))
    with pytest.raises(environment.SetupError, match="make a package index reachable"):
        environment._pip_install("something")


def test_the_browser_is_the_one_named_or_one_of_the_systems(monkeypatch, tmp_path):
    chromium = tmp_path / "chromium"
    chromium.write_text("#!/bin/sh\n")
    chromium.chmod(0o755)
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert browser.find() == chromium
    monkeypatch.setenv("CHROMIUM_PATH", "/elsewhere/chrome")
    assert browser.find() == Path("/elsewhere/chrome")


def test_a_machine_without_a_browser_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(environment.SetupError, match="install one, or set CHROMIUM_PATH"):
        environment._browser()
