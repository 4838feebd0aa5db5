"""Figures of what bad inputs, damaged files and kills do: tests/hardening.json.

`pytest tests/host --write-hardening` on each host in turn writes them, by the fixture `figures`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from scripts import hosts

PATH = hosts.ROOT / "tests" / "hardening.json"
COUNTED = "inputs", "files"  # how many were tried; all other figures are faults


def write(version: str, found: Mapping[str, float], path: Path = PATH) -> None:
    """Write down what was found on a host. What is known of it otherwise, and of other hosts, stays.

    The figures on top are the worst of all hosts, and the fewest tries.
    """
    hosts_known = json.loads(path.read_text(encoding="utf-8"))["hosts"] if path.exists() else {}
    hosts_known[version] = hosts_known.get(version, {}) | found
    newest_first = sorted(hosts_known.items(), key=lambda item: hosts.version_key(item[0]), reverse=True)
    keys = dict.fromkeys(key for _, figures in newest_first for key in figures)
    worst = {}
    for key in keys:
        each = [figures[key] for _, figures in newest_first if key in figures]
        worst[key] = min(each) if key in COUNTED else max(each)
    path.write_text(json.dumps(worst | {"hosts": dict(newest_first)}, indent=1) + "\n", encoding="utf-8")
