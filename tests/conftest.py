"""Settings for all tests."""

import hypothesis

# Property tests find the same examples on every machine, and are not judged by the clock of a busy one.
hypothesis.settings.register_profile("imagic", derandomize=True, deadline=None)
hypothesis.settings.load_profile("imagic")


def pytest_addoption(parser):
    """Choose the ComfyUI for tests/host.

    To be written with "=": pytest reads the command line once before it knows this option, and would take a PATH of
    its own for a folder of tests.
    """
    parser.addoption("--comfyui", metavar="PATH", help="run tests/host on this ComfyUI (default: the one found)")
    parser.addoption("--write-families", action="store_true", help="write tests/families.json from tests/host/families")
    parser.addoption("--write-composition", action="store_true", help="write tests/composition.json from tests/host")
    parser.addoption("--write-hardening", action="store_true", help="write tests/hardening.json from tests/host")
    parser.addoption("--write-experience", action="store_true", help="write docs/experience.json from tests/host")
