"""Figures of what a user sees first: docs/experience.json.

`pytest tests/host --write-experience` on the newest host writes them, by the fixture `experience`.
"""

import json
from pathlib import Path

from scripts import hosts

PATH = hosts.ROOT / "docs" / "experience.json"
KEYS = ("templates", "outside_identical", "app_opens", "blueprint_first_hit", "restore_seconds_12mp")


def languages_with_help(folder: Path = hosts.ROOT / "web" / "docs") -> int:
    """How many languages have a page for every node. English pages lie in the folder or are called en."""
    nodes = {path.stem for path in folder.glob("*.md")} | {path.parent.name for path in folder.glob("*/*.md")}
    found = [{path.stem for path in (folder / node).glob("*.md")} for node in nodes]
    english = [{"en"} if (folder / f"{node}.md").is_file() else set() for node in nodes]
    return len(set.intersection(*(each | own for each, own in zip(found, english, strict=True))))


def write(found: dict, path: Path = PATH) -> None:
    """Write down what was found. What a run did not ask stays as it was."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    merged = known | found
    ordered = {key: merged[key] for key in KEYS if key in merged}
    ordered["languages_with_help"] = languages_with_help()
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
