"""README, CONTRIBUTING and docs/ lead where they say, name what is there, and give the figures that were found."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# ComfyUI's page resolves what a help page links to from this folder, whatever the language's own is.
HELP_FOLDER = ROOT / "web" / "docs"
HELP = sorted(HELP_FOLDER.rglob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.(?:py|json|md|toml))`")
COMMAND = re.compile(r"(?:`|^)make ([a-z-]+)(?=`|$| [A-Z]+=)|python -m ([\w.]+)", re.MULTILINE)
NAMED = re.compile(r"`([\w.]+)(?:\([\w.]*\))?` \(`((?:[\w-]+/)+\w+\.py)`")
WRITTEN_BY_COMMANDS = "output/"  # by make demo
MEGABYTE = 1_000_000


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *HELP], ids=ids)
def test_every_link_within_the_repository_leads_somewhere(page):
    folder = HELP_FOLDER if page in HELP else page.parent
    for target, anchor in LINK.findall(read(page)):
        place = folder / target if target else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_file_that_a_page_names_is_there(page):
    named = {name for name in FILE.findall(read(page)) if not name.startswith(WRITTEN_BY_COMMANDS)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_that_a_page_gives_is_there(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target, module in COMMAND.findall(read(page)):
        path = ROOT / module.replace(".", "/")
        assert target in targets if target else path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_name_that_a_page_puts_into_a_file_is_in_it(page):
    for name, path in NAMED.findall(" ".join(read(page).split())):
        code = (ROOT / path).read_text(encoding="utf-8")
        parts = set(name.split(".")) - {Path(path).stem}  # a function may be named with its module
        assert all(re.search(rf"\b{part}\b", code) for part in parts), f"{name} in {path}"


def found(path: str) -> dict:
    return json.loads((ROOT / "tests" / path).read_text(encoding="utf-8"))


def test_the_readme_has_the_figures_of_the_tests():
    text = " ".join(read(ROOT / "README.md").split())
    newest = found("composition.json")["0.33.0"]
    assert f"[{newest['ok']} graphs]" in text
    assert newest["worst_eta0"] < 1e-4
    families = found("families.json")["0.33.0"].values()
    assert f"{sum(row['status'] in ('works', 'note') for row in families)} families of models run" in text
    hardening = found("hardening.json")
    assert f"[{hardening['inputs']:,} strange inputs and {hardening['files']} damaged files]" in text
    assert not any(hardening[fault] for fault in ("internal", "nan", "files_internal", "files_accepted"))


def test_the_page_on_memory_has_the_figures_of_the_benchmarks():
    text = read(ROOT / "docs" / "memory.md")
    for pixels, stages in found("benchmarks/full_size.json")["sd15"].items():
        tuning, sampling = (stages[stage]["peak"] for stage in ("B", "sampling"))
        figures = f"{tuning / 2**30:.1f} GiB; {tuning / sampling:.2f} times sampling"
        assert re.search(rf"\| Stable Diffusion 1.5, {pixels} px \| bf16 .*\| {figures} \| measured \|", text)
    small = found("benchmarks/full_size.json")["sd15"]["512"]
    assert f"takes {small['A']['peak'] / 2**30:.1f} GiB at 512 px" in text
    for stage, what in (("B", "2 steps of B"), ("sampling", "2 steps of sampling")):
        assert re.search(
            rf"512 px, bf16, two CPU cores \| {what}.* \| {small[stage]['seconds']:.0f} s \| measured \|", text
        )
    for precision, stages in found("benchmarks/flux.json").items():
        totals = [stages["stages"][f"{stage}, checkpointing"]["reckoned"]["total"] / 2**30 for stage in "AB"]
        assert re.search(rf"\| {precision} .*\| {max(totals):.1f} GiB: .*\| measured in parts \|", text)


@pytest.mark.parametrize("picture", sorted((ROOT / "assets").iterdir()), ids=ids)
def test_pictures_are_small(picture):
    assert picture.stat().st_size < MEGABYTE


# The rows of the README's table, and what results.json calls them.
QUALITY = {
    "default, eta 1.2": "default",
    "default, eta taken by Pick Edit": "pick",
    "tuned under a caption (30 edits)": "further_target",
    "at once: a caption, no training": "instant",
    "FlowEdit": "flowedit",
    "inpainting the region that we find": "inpaint",
    "inversion (DDIM or Euler)": "ddim_inversion",
    "SDEdit": "sdedit",
    "LEDITS++": "ledits",
    "the paper's recipe (6 edits)": "paper",
}


def quality(title: str, method: str, models: dict[str, dict]) -> str:
    """A row of the README's table of EditBench."""
    found = [summary.get(method) for summary in models.values()]
    shares = [
        f"{row['complete']:.2f} ({row['complete_interval'][0]:.2f} – {row['complete_interval'][1]:.2f}) | "
        f"{row['edit_score']:.2f}"
        if row
        else " | "
        for row in found
    ]
    evaluations = dict.fromkeys(f"{row['forward_equivalents']:,.0f}" for row in found if row)
    times = [f"{row['plain_samples']:.1f}" for row in found if row]
    return f"| {' | '.join([title, *shares, '; '.join(evaluations), '; '.join(times)])} |"


def test_the_readme_has_the_figures_of_editbench():
    text, models = read(ROOT / "README.md"), found("editbench/results.json")["summary"]
    assert list(models) == ["demo", "flow"]
    for title, method in QUALITY.items():
        assert quality(title, method, models) in text
    assert {"autoencoder", "peer", *QUALITY.values()} >= {name for summary in models.values() for name in summary}


KINDS = {
    "colours": "colour",
    "things worn": "accessory",
    "places": "background",
    "styles": "style",
    "poses": "pose",
    "animals with a mark": "identity",
}


def test_sentences_have_the_figures_of_editbench():
    """Those of the README, and of the pages beside it: complete, on the demo and on the flow model; times there."""

    def of(method: str, figure: str, kind: str | None = None, digits: int = 2) -> str:
        rows = [summary[method] for summary in found("editbench/results.json")["summary"].values()]
        return " and ".join(f"{row[figure][kind] if kind else row[figure]:.{digits}f}" for row in rows)

    def says(page: str, sentence: str) -> None:
        assert sentence in " ".join(read(ROOT / page).split())

    says("README.md", ", ".join(f"{name} {of('default', 'complete_by_kind', kind)}" for name, kind in KINDS.items()))
    says("README.md", f"In poses the caption is as good or better, {of('instant', 'complete_by_kind', 'pose')}")
    says("README.md", f"so is FlowEdit, {of('flowedit', 'complete_by_kind', 'pose')}")
    says("README.md", f"the caption keeps more of them, {of('instant', 'complete_by_kind', 'identity')}")
    further = of("further_target", "further_target_plain_samples", digits=1)
    says("README.md", f"a further sentence takes {further} of an ordinary sample")
    ours, flowedit = of("default", "complete"), of("flowedit", "complete")
    says("docs/which-editor.md", f"FlowEdit has {flowedit} of its edits complete, this pack {ours}")
    edit, picked = (of(method, "plain_samples", digits=1) for method in ("default", "pick"))
    for what, times in (
        ("a whole edit", edit),
        ("another sentence, tuned under a caption", further),
        ("Pick Edit", picked),
    ):
        first, second = times.split(" and ")
        sentence = rf"{what}\*\* = {first} × [^×]* on the demo model, {second} × on the flow model"
        assert re.search(sentence, " ".join(read(ROOT / "docs/memory.md").split())), what


def test_the_checks_see_links_anchors_files_commands_and_names():
    assert LINK.findall("[a](docs/x.md#y) and ![b](z.png), not [c](https://example.org/d)") == [
        ("docs/x.md", "y"),
        ("z.png", ""),
    ]
    assert "a-model-family" in anchors(ROOT / "CONTRIBUTING.md")
    assert FILE.findall("see `imagic/region.py`, not `make`") == ["imagic/region.py"]
    assert COMMAND.findall("make demo\n`make test-fast` and `python -m scripts.gallery`, to make a picture") == [
        ("demo", ""),
        ("test-fast", ""),
        ("", "scripts.gallery"),
    ]
    assert NAMED.findall("`Run.predict` (`nodes/host/keeping.py`), `loaded(...)` (`nodes/host/training.py`)") == [
        ("Run.predict", "nodes/host/keeping.py"),
        ("loaded", "nodes/host/training.py"),
    ]
