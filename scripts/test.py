"""Run every check: style, the tests that need no ComfyUI, and the host tests on every ComfyUI there is.

Arguments are passed on to pytest: `make test ARGS="-m 'not long'"`.
"""

from __future__ import annotations

import subprocess
import sys
import time

from scripts import hosts


def main() -> None:
    """Run all steps, the failing ones included, and sum up."""
    try:
        found = hosts.find_all()
    except hosts.HostError as error:
        sys.exit(f"Error: {error}")
    # -P: the repository's root is no place to import from before pytest has ordered sys.path
    pytest = [sys.executable, "-P", "-m", "pytest", *sys.argv[1:]]
    steps = {
        "style": [sys.executable, "-m", "ruff", "check", "."],
        "format": [sys.executable, "-m", "ruff", "format", "--check", "."],
        "without a host": [*pytest, "tests", "--ignore=tests/host"],
        **{f"ComfyUI {host.version}": [*pytest, "tests/host", f"--comfyui={host.path}"] for host in found},
    }
    results = {name: _run(name, command) for name, command in steps.items()}

    print("\n" + "=" * 60)
    for name, (code, seconds) in results.items():
        print(f"{name:24} {'passed' if code == 0 else f'FAILED (exit {code})':20} {seconds:6.0f} s")
    for host in found:
        print(f"host: {host}")
    sys.exit(any(code for code, _ in results.values()))


def _run(name: str, command: list[str]) -> tuple[int, float]:
    print(f"\n=== {name}: {' '.join(command[1:])}", flush=True)
    start = time.monotonic()
    code = subprocess.run(command, cwd=hosts.ROOT, stdin=subprocess.DEVNULL).returncode
    return code, time.monotonic() - start


if __name__ == "__main__":
    main()
