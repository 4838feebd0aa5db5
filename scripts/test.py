"""Run every check: style, the tests that need no ComfyUI, and the host tests on every ComfyUI there is.

Arguments are passed on to pytest: `make test ARGS="-m 'not long'"`. With --fast, no ComfyUI is looked for, and what
takes longer than a minute is left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from scripts import hosts

NO_TESTS = 5  # pytest's exit code where nothing was chosen


def main() -> None:
    """Run all steps, the failing ones included, and sum up."""
    arguments = sys.argv[1:]
    fast = "--fast" in arguments
    if fast:
        arguments.remove("--fast")
        arguments[:0] = ["-m", "not long"]
    try:
        found = [] if fast else hosts.find_all()
    except hosts.HostError as error:
        sys.exit(f"Error: {error}")
    # -P: the repository's root is no place to import from before pytest has ordered sys.path
    pytest = [sys.executable, "-P", "-m", "pytest", *arguments]
    # The longest first, and in parts, so that the streams end at about the same time.
    models, method = "tests/host/families", "tests/imagic"
    on_host = {host.version: [*pytest, f"--comfyui={host.path}"] for host in found}
    steps = {
        **{f"ComfyUI {name}": [*run, "tests/host", f"--ignore={models}"] for name, run in on_host.items()},
        **{f"ComfyUI {name}, models": [*run, models] for name, run in on_host.items()},
        "without a host": [*pytest, "tests", "--ignore=tests/host", f"--ignore={method}"],
        "the method alone": [*pytest, method],
        "style": [sys.executable, "-m", "ruff", "check", "."],
        "format": [sys.executable, "-m", "ruff", "format", "--check", "."],
    }
    # Side by side they are done sooner than one by one on all cores: models this small keep one core busy, and many
    # tests wait for a server or a browser.
    streams = min(len(steps), os.cpu_count() or 1)
    environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // streams))} | os.environ
    # Dozens of processes import torch and a host: let them find what the first one compiled.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # The user's arguments may leave a step without tests.
    passing = {0, NO_TESTS} if arguments else {0}
    with ThreadPoolExecutor(streams) as pool:
        running = {name: pool.submit(_run, name, command, environment) for name, command in steps.items()}
        results = {name: future.result() for name, future in running.items()}

    print("\n" + "=" * 60)
    for name, (code, seconds) in results.items():
        print(f"{name:24} {'passed' if code in passing else f'FAILED (exit {code})':20} {seconds:6.0f} s")
    for host in found:
        print(f"host: {host}")
    sys.exit(any(code not in passing for code, _ in results.values()))


def _run(name: str, command: list[str], environment: dict[str, str]) -> tuple[int, float]:
    """The exit code and the seconds. What is printed comes out whole at the end, since others run at the same time."""
    print(f"=== {name}: started", flush=True)
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=hosts.ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    print(f"\n=== {name}: {' '.join(command[1:])}\n{done.stdout}", flush=True)
    return done.returncode, time.monotonic() - start


if __name__ == "__main__":
    main()
