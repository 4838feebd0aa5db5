"""Settings for all tests."""

import signal

import hypothesis
import pytest

# Property tests find the same examples on every machine, and are not judged by the clock of a busy one.
hypothesis.settings.register_profile("imagic", derandomize=True, deadline=None)
hypothesis.settings.load_profile("imagic")


def pytest_addoption(parser):
    """Choose the ComfyUI for tests/host.

    To be written with "=": pytest reads the command line once before it knows this option, and would take a PATH of
    its own for a folder of tests.
    """
    parser.addoption("--comfyui", metavar="PATH", help="run tests/host on this ComfyUI (default: the one found)")
    parser.addoption("--gpu", action="store_true", help="let that ComfyUI use its GPU (default: the CPU)")
    parser.addoption("--write-families", action="store_true", help="write tests/families.json from tests/host/families")
    parser.addoption("--write-composition", action="store_true", help="write tests/composition.json from tests/host")
    parser.addoption("--write-hardening", action="store_true", help="write tests/hardening.json from tests/host")
    parser.addoption("--write-experience", action="store_true", help="write docs/experience.json from tests/host")


@pytest.fixture
def interruptible():
    """Ctrl-C is heard here and in the processes that a test starts: a shell's background jobs are made to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
