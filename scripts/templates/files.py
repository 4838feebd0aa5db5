"""The files of the templates and blueprints."""

from pathlib import Path

from scripts import workflow
from scripts.templates.pages import Pages
from scripts.templates.written import written

# Whose widgets follow the demo's graph, in which the good values stand.
FOLLOW = (
    "ImagicOptimizeEmbedding",
    "ImagicFineTuneUNet",
    "ImagicInterpolateEmbedding",
    "ImagicKeepPhoto",
    "KSampler",
)


def files(info: dict) -> dict[Path, str]:
    """Path to content, for a host that tells this of its nodes (object_info)."""
    pages = Pages(info, good_values())
    return {
        **{workflow.FOLDER / f"{title}.json": written(page) for title, page in pages.all().items()},
        **{workflow.BLUEPRINTS / f"{name}.json": written(node) for name, node in pages.blueprints().items()},
    }


def good_values() -> dict[str, dict]:
    """The widgets of the demo's nodes, by class."""
    graph = workflow.load().values()
    return {kind: next(_widgets(content) for content in graph if content["class_type"] == kind) for kind in FOLLOW}


def _widgets(content: dict) -> dict:
    return {key: value for key, value in content["inputs"].items() if not isinstance(value, list)}
