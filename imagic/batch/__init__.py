"""Many photos, a sentence for each: a manifest in, pictures and a table of results out, on any number of machines."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .manifest import Manifest, NotAManifest, Row
    from .plan import Plan, Shard
    from .results import Result
    from .runner import Outcome, run
    from .settings import Settings

__all__ = ["Manifest", "NotAManifest", "Outcome", "Plan", "Result", "Row", "Settings", "Shard", "run"]

# Each is imported when it is first asked for, as in `imagic`: a run needs PyTorch, and a manifest does not.
_HOMES = {
    "Manifest": "manifest",
    "NotAManifest": "manifest",
    "Outcome": "runner",
    "Plan": "plan",
    "Result": "results",
    "Row": "manifest",
    "Settings": "settings",
    "Shard": "plan",
    "run": "runner",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
