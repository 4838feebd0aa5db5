"""The translations cover every node, and say the same numbers as the English text."""

import json
import re

import pytest

from scripts import hosts

LOCALES = sorted(path.name for path in (hosts.ROOT / "locales").iterdir())


def english(pack) -> dict[str, dict]:
    """The nodes' own texts, in the shape of a locale file."""
    texts = {}
    for node_id, node in pack.NODE_CLASS_MAPPINGS.items():
        inputs = node.INPUT_TYPES()
        declared = {**inputs["required"], **inputs.get("optional", {})}
        texts[node_id] = {
            "": node.DESCRIPTION,
            **{f"inputs.{name}": options["tooltip"] for name, (_, options) in declared.items()},
            **{f"outputs.{place}": tooltip for place, tooltip in enumerate(node.OUTPUT_TOOLTIPS)},
        }
    return texts


def translated(locale: str) -> dict[str, dict]:
    """A locale file, flat: part of a node -> name and tooltip in one string; the description has no part."""
    texts = {}
    nodes = json.loads((hosts.ROOT / "locales" / locale / "nodeDefs.json").read_text(encoding="utf-8"))
    for node_id, node in nodes.items():
        texts[node_id] = {"": node.pop("description")}
        assert node.pop("display_name")
        for kind, parts in node.items():
            for name, part in parts.items():
                assert set(part) == {"name", "tooltip"}
                assert part["name"]
                texts[node_id][f"{kind}.{name}"] = part["tooltip"]
    return texts


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def test_the_languages():
    assert LOCALES == ["de", "es", "fr", "ja", "ko", "zh"]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_translation_is_complete_and_of_today(pack, locale):
    ours, theirs = english(pack), translated(locale)
    assert list(theirs) == list(ours)
    for node_id, texts in ours.items():
        assert set(theirs[node_id]) == set(texts), node_id
        for part, text in texts.items():
            other = theirs[node_id][part]
            assert other != text, f"{node_id} {part} is not translated"
            assert numbers(other) == numbers(text), f"{node_id} {part}: {other}"
            # These would start a placeholder, a link or a plural in the frontend.
            assert not set("{}@|$") & set(other), f"{node_id} {part}"
