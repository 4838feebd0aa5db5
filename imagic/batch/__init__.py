"""Many photos, a sentence for each: a manifest in, pictures and a table of results out, on any number of machines."""

from typing import TYPE_CHECKING

from ..lazy import attributes

if TYPE_CHECKING:
    from .manifest import Manifest, NotAManifest, Row
    from .plan import Plan, Shard
    from .results import Result
    from .runner import Outcome, run
    from .settings import Settings

__all__ = ["Manifest", "NotAManifest", "Outcome", "Plan", "Result", "Row", "Settings", "Shard", "run"]

# Each is imported when it is first asked for, as in `imagic`: a run needs PyTorch, and a manifest does not.
__getattr__ = attributes(
    __name__,
    {
        "Manifest": "manifest",
        "NotAManifest": "manifest",
        "Outcome": "runner",
        "Plan": "plan",
        "Result": "results",
        "Row": "manifest",
        "Settings": "settings",
        "Shard": "plan",
        "run": "runner",
    },
)
