"""What the graph editor shows of the nodes."""

import pytest

IDS = [
    "ImagicOptimizeEmbedding",
    "ImagicFineTuneUNet",
    "ImagicInterpolateEmbedding",
    "ImagicEditRegion",
    "ImagicKeepPhoto",
    "ImagicDemoCheckpoint",
    "ImagicEditSheet",
    "ImagicLossChart",
    "ImagicSaveEdit",
    "ImagicLoadEdit",
    "ImagicTuningStrength",
    "ImagicPickEdit",
    "ImagicCropPhoto",
    "ImagicRestorePhoto",
]


def test_the_ids_are_frozen(pack):
    assert list(pack.NODE_CLASS_MAPPINGS) == IDS
    assert list(pack.NODE_DISPLAY_NAME_MAPPINGS) == IDS


@pytest.mark.parametrize("node_id", IDS)
def test_everything_has_a_tooltip_and_every_node_a_description(pack, node_id):
    node = pack.NODE_CLASS_MAPPINGS[node_id]
    assert node.CATEGORY == "Imagic"
    assert node.DESCRIPTION
    assert node.SEARCH_ALIASES
    assert len(node.OUTPUT_TOOLTIPS) == len(node.RETURN_TYPES)
    inputs = node.INPUT_TYPES()
    for name, (_, options) in {**inputs["required"], **inputs.get("optional", {})}.items():
        assert options["tooltip"], name


def test_the_host_offers_them(client):
    known = client.object_info()
    for node_id in IDS:
        assert known[node_id]["category"] == "Imagic"
