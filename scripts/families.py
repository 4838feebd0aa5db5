"""The table of model families in docs/models.md, from what the tests found: python -m scripts.families writes it.

`make test ARGS="tests/host/families --write-families"` writes what it comes from, tests/families.json: by ComfyUI's
version and by family a `status` (works, note, refused or absent), `why`, and of those that are edited the `gain`: the
share of the validation loss that A and B took off by default.
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).absolute().parent.parent
RESULTS = ROOT / "tests" / "families.json"
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- families: written by python -m scripts.families -->\n", "<!-- end of families -->\n"
RUNS = "runs (tiny copy, random weights)"
WORDS = {"works": RUNS, "note": f"{RUNS}, with a note", "refused": "refused"}

Results = dict[str, dict[str, dict]]


def table(results: Results) -> str:
    """Markdown: families that share a status, its reason and the hosts that have them are one row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for family in dict.fromkeys(name for host in results.values() for name in host):
        found = {version: host[family] for version, host in results.items() if host[family]["status"] != "absent"}
        newest = next(iter(found.values()))
        rows.setdefault((newest["status"], newest["why"], ", ".join(found)), []).append(family)
    order = list(WORDS)
    lines = ["| | families | on ComfyUI | |", "|---|---|---|---|"]
    for (status, why, hosts), families in sorted(rows.items(), key=lambda row: order.index(row[0][0])):
        lines.append(f"| {WORDS[status]} | {', '.join(families)} | {hosts} | {why} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Put the table into the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(before + BEGIN + table(results) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
