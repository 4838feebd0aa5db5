"""Many photos, a sentence for each: a manifest in, pictures and a table of results out, on any number of machines."""

from .manifest import Manifest, NotAManifest, Row
from .plan import Plan, Shard
from .results import Result
from .runner import Outcome, run
from .settings import Settings

__all__ = ["Manifest", "NotAManifest", "Outcome", "Plan", "Result", "Row", "Settings", "Shard", "run"]
