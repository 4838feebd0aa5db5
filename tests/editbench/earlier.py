"""What an earlier run found and still holds: code, settings, model and pairs are as they were, and so is the judging.

So a clone without that run's pictures makes only what has changed anew, and the report stays whole.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from demo import classifier

from . import judge, metrics, pairs, registration, summary
from .methods import Method, on
from .store import code, key

PARTS = ("summary", "curves", "pairs", "keys")
JUDGING = [Path(module.__file__) for module in (judge, metrics, registration, summary, classifier)]


def keys(known: dict[str, Method], models: Iterable[str]) -> dict[str, dict[str, str]]:
    """Of all that decides a method's figures, by model."""
    digest = hashlib.sha256(json.dumps([pair.digest for pair in pairs.group("bench")]).encode())
    for file in [*JUDGING, classifier.PATH]:
        digest.update(code(file))
    judging = digest.hexdigest()[:12]
    return {
        model: {
            name: f"{key(method, model)}-{judging}-{method.bench or 'all'}" for name, method in on(model, known).items()
        }
        for model in models
    }


def read(path: Path) -> dict:
    """An earlier results.json; nothing, if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def held(before: dict, today: dict[str, dict[str, str]]) -> dict[str, dict]:
    """The parts of an earlier results.json, by model, with the methods whose key is today's."""
    same = {
        model: {name for name, then in names.items() if then == today.get(model, {}).get(name)}
        for model, names in before.get("keys", {}).items()
    }
    return {
        model: {part: {name: found for name, found in before[part][model].items() if name in names} for part in PARTS}
        for model, names in same.items()
    }
