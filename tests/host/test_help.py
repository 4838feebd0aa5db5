"""Every node has a help page in every language, and it names all that is on the node."""

import re

import pytest

from scripts import hosts

from .test_locales import LOCALES, numbers

FOLDER = hosts.ROOT / "web" / "docs"
LANGUAGES = ["en", *LOCALES]
# Small words that each language uses all the time, and the others hardly ever.
WORDS = {
    "de": "der die das und ist nicht ein eine mit auf für dem den wenn",
    "en": "the and is of to it for your with not from what if more",
    "es": "el los las y del que una con por para más si su es",
    "fr": "le les des et une est pas pour avec plus dans ce qui vous",
}
MONTH = r"\d+ ?[月월]"  # a number where English has a name
LETTERS = {"ja": r"[\u3040-\u30ff]", "ko": r"[\uac00-\ud7a3]", "zh": r"[\u4e00-\u9fff]"}


def page(node: str, language: str) -> str:
    # The frontend asks for <node>/<language>.md, and takes <node>.md where there is none.
    path = FOLDER / f"{node}.md" if language == "en" else FOLDER / node / f"{language}.md"
    return path.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """What is written for people: without code, names of stock nodes, links' addresses and pictures."""
    return re.sub(r"`[^`]*`|\*[^*\n]+\*|\]\([^)]*\)|!\[|https?://\S+", " ", text)


def language_of(text: str) -> str:
    letters = re.findall(r"[^\W\d_]", text)
    shares = {name: len(re.findall(letter, text)) / len(letters) for name, letter in LETTERS.items()}
    # Japanese is written with Chinese letters as well, Chinese never with kana.
    for name, least in (("ja", 0.3), ("ko", 0.5), ("zh", 0.5)):
        if shares[name] > least:
            return name
    words = re.findall(r"[^\W\d_]+", text.lower())
    counts = {name: sum(word in small.split() for word in words) for name, small in WORDS.items()}
    return max(counts, key=counts.get)


def named(node: type) -> set[str]:
    """Everything on a node by its own name: inputs, widgets, outputs."""
    inputs = node.INPUT_TYPES()
    outputs = getattr(node, "RETURN_NAMES", node.RETURN_TYPES)
    return {*inputs.get("required", {}), *inputs.get("optional", {}), *outputs}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_there_names_everything_and_is_in_its_language(pack, language):
    for node_id, node in pack.NODE_CLASS_MAPPINGS.items():
        text = page(node_id, language)
        assert text.startswith("# "), node_id
        assert {name for name in named(node) if f"`{name}`" not in text} == set(), node_id
        assert language_of(prose(text)) == language, node_id
        assert all((FOLDER / picture).is_file() for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)), node_id


@pytest.mark.parametrize("language", LOCALES)
def test_a_translated_page_says_what_the_english_one_says(pack, language):
    """The same numbers and links, and as many inputs, rows and paragraphs; the title is that on the node."""
    for node_id in pack.NODE_CLASS_MAPPINGS:
        english, other = page(node_id, "en"), page(node_id, language)
        assert numbers(re.sub(MONTH, "", other)) == numbers(english), node_id
        for mark in (r"^\|.*\|$", r"^- ", r"\]\([^)]+\)", r"`[^`]+`", r"\n\n"):
            found = [len(re.findall(mark, text, re.MULTILINE)) for text in (other, english)]
            assert found[0] == found[1], f"{node_id} {mark}: {found}"


def test_there_is_no_page_of_a_node_that_is_gone(pack):
    pages = {path.relative_to(FOLDER).parts[0].removesuffix(".md") for path in FOLDER.rglob("*.md")}
    assert pages == set(pack.NODE_CLASS_MAPPINGS)
