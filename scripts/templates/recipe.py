"""The demo's graph says which values are good; the other example workflows follow it."""

from __future__ import annotations

from scripts import workflow
from scripts.client import Graph

FOLLOW = (
    "ImagicOptimizeEmbedding",
    "ImagicFineTuneUNet",
    "ImagicInterpolateEmbedding",
    "ImagicKeepPhoto",
    "KSampler",
)
# What a workflow has otherwise for a reason of its own.
OWN = {
    "imagic_flux": {
        "ImagicOptimizeEmbedding": {"gradient_checkpointing"},
        "ImagicFineTuneUNet": {"gradient_checkpointing"},
        "KSampler": {"cfg", "sampler_name", "scheduler"},
    },
    "imagic_keep_with_mask": {"ImagicInterpolateEmbedding": {"sweep"}},
    "imagic_tune_once_edit_many": {"ImagicInterpolateEmbedding": {"sweep"}},
}


def follow(name: str, graph: Graph) -> Graph:
    """The graph with the demo's values in place of its own."""
    demo = workflow.load()
    values = {
        kind: next(_widgets(content) for content in demo.values() if content["class_type"] == kind) for kind in FOLLOW
    }
    for content in graph.values():
        kind = content["class_type"]
        kept = OWN.get(name, {}).get(kind, set())
        content["inputs"] |= {key: value for key, value in values.get(kind, {}).items() if key not in kept}
    return graph


def complete(graph: Graph, info: dict) -> Graph:
    """The graph with every widget that it does not name at its default, as the graph editor queues it.

    Args:
        info: what the host tells of its nodes (object_info).
    """
    for content in graph.values():
        for name, spec in info[content["class_type"]]["input"].get("optional", {}).items():
            options = spec[1] if len(spec) > 1 else {}
            if "default" in options and not options.get("forceInput"):
                content["inputs"].setdefault(name, options["default"])
    return graph


def _widgets(content: dict) -> dict:
    return {key: value for key, value in content["inputs"].items() if not isinstance(value, list)}
