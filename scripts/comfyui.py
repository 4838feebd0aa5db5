"""Open the demo's ComfyUI to work with by hand, until Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

import torch

from scripts import hosts
from scripts.server import Server, ServerError


def main() -> None:
    """Start the host and print where it is."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the host would outlive us
    try:
        host = hosts.find()
        print(f"Host: {host}", flush=True)
        os.environ.setdefault("IMAGIC_CACHE_GB", "4")
        home = hosts.ROOT / "build" / f"comfyui-{host.version}"
        with Server(host, home, cpu=not torch.accelerator.is_available()) as server:
            example = host.path / "input" / "example.png"  # what the templates for real checkpoints load
            if example.is_file():
                shutil.copy(example, home / "input")
            print(f"Its inputs, outputs and settings are in {home}", flush=True)
            print(f"Open {server.address} and look for Imagic among the templates. Ctrl-C ends it.", flush=True)
            while server.running:
                time.sleep(1)
            sys.exit(f"Error: ComfyUI ended by itself; see {server.log}.")
    except KeyboardInterrupt:
        print("\nStopped.")
    except (hosts.HostError, ServerError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
