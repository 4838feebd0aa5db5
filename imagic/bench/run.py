"""A benchmark from its pairs to its report: every method is a batch, so that it can be stopped and goes on."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..batch import results, runner
from ..batch.editor import Finished, NoWorker, picture
from ..batch.manifest import COLUMNS, Manifest, Row
from ..batch.settings import FILE, PEERS, Settings, chosen_threads, keep
from ..whole_file import whole
from . import paper, report
from .metrics import Metrics
from .pairs import Pair

METHODS = "default", "instant", "paper", *PEERS
PUBLISHED = "the paper's own pictures"
PUT_BACK = {"default", "instant"}
KEEP_EVERY = 50  # pairs that are measured; LPIPS and DINO take a CPU seconds each

EngineOf = Callable[[Settings, Path, Path], runner.Engine]


def run(
    benchmark: str,
    pairs: Sequence[Pair],
    output: Path,
    settings: Settings,
    engine_of: EngineOf,
    metrics: Metrics,
    methods: Sequence[str] = METHODS,
    on_row: Callable[[Finished, runner.Outcome], None] = lambda finished, outcome: None,
) -> dict[str, Any]:
    """Edit all pairs by each method, measure them and write RESULTS.md, results.json and contact sheets.

    The report has other methods, too, as far as earlier runs have edited these pairs by them with the same settings.

    Args:
        settings: of all methods but for what makes each, and for the threads: those are of the run that began, or
            as many as PyTorch takes.
        engine_of: an engine for settings, the folder of the manifest and that of the pictures.

    Returns:
        What results.json holds; "failed" is the number of edits that could not be made.

    Raises:
        NotWritten: the disk is full. What was done is done.
        NoWorker: the model cannot be loaded, or none of the methods runs on it.
    """
    output.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, dict[str, float]]] = {}
    pictures: dict[str, dict[str, Path]] = {}
    notes = [f"Not measured, since it is missing: {missing}" for missing in metrics.missing]
    unfit, failed = None, 0
    for method in METHODS:
        asked = method in methods
        chosen = [pair for pair in pairs if pair.caption] if method == "instant" else list(pairs)
        if not chosen and asked:
            notes.append(f"Not run: {method}, which needs captions of the photos; give --captions.")
        if not chosen:
            continue
        folder, rows, wanted = output / method, [_row(pair, method) for pair in chosen], _settings(settings, method)
        try:
            if asked:
                _edit(rows, folder, wanted, engine_of, on_row)
        except NoWorker as reason:
            if method not in PEERS:
                raise
            unfit = NoWorker(str(reason))  # the one that was caught holds the model by its traceback
            notes.append(f"Not run: {method}. {reason}")
            continue
        costs = _costs(rows, folder)
        if not asked and not costs:
            continue
        if not asked and (other := _other_settings(folder, wanted)):
            notes.append(f"Not in this report: {method}, whose pictures in {folder} were made with {other}.")
            continue
        pictures[method] = {name: folder / f"{name}.png" for name in costs}
        found[method] = _measured(metrics, chosen, pictures[method], costs, output / f"{method}.json", notes)
        if method in PEERS:
            from ..diffusers.peers import ABOUT

            notes.append(f"{method}: {ABOUT[method]}")
        missed = len(chosen) - len(costs)
        if missed and asked:
            failed += missed
            notes.append(f"{missed} pairs could not be edited by {method}: {folder / 'results.csv'} says why.")
        elif missed:
            notes.append(f"{missed} pairs were not edited by {method} yet: add it to --methods.")
    if unfit and not set(found) & set(methods):
        raise unfit
    published = {pair.name: pair.published for pair in pairs if pair.published}
    if published:
        pictures[PUBLISHED] = published
        chosen = [pair for pair in pairs if pair.published]
        found[PUBLISHED] = _measured(metrics, chosen, published, {}, output / "published.json", notes)
    if PUT_BACK & set(found) and set(found) - PUT_BACK:
        own = " and ".join(sorted(PUT_BACK & set(found)))
        notes.append(
            f"{own}: put back into the photo, as imagic edit does. The others are as they were drawn: outside of the "
            "mask, their figures have the error of the model's autoencoder in them."
        )
    summaries = {name: report.summary(each) for name, each in found.items()}
    content = {
        "about": _about(pairs, settings),
        "notes": notes,
        "failed": failed,
        "summary": summaries,
        "pairs": found,
    }
    counts = {name: len(each) for name, each in found.items()}
    report.write(output, report.markdown(benchmark, content["about"], summaries, counts, notes), content)
    report.sheets(output, pairs, pictures)
    return content


def _about(pairs: Sequence[Pair], settings: Settings) -> str:
    """What was run, with what is not as each method has it by itself."""
    chosen = {"size": settings.size, "steps of A": settings.embedding_steps, "steps of B": settings.tuning_steps}
    told = [f"{name} {value}" for name, value in chosen.items() if value is not None]
    steps = f"{settings.num_inference_steps} sampling steps"
    return f"{len(pairs)} pairs with {', '.join([settings.model, steps, *told])}."


def _settings(settings: Settings, method: str) -> Settings:
    if method == "instant":
        return replace(settings, instant=True)
    return replace(settings, recipe=method)


def _row(pair: Pair, method: str) -> Row:
    """What a pair asks a method for."""
    return Row(
        number=0,  # which does not count
        photo=str(pair.photo.absolute()),
        sentence=pair.target.strip(),
        caption=pair.caption.strip() if method in ("instant", "ledits") else "",
        strength=paper.ETA if method == "paper" else Row.strength,
        output=f"{pair.name}.png",
    )


def _other_settings(folder: Path, settings: Settings) -> str:
    """What is another setting of a folder's pictures, or ""."""
    try:
        before = dict(json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return f"a {FILE} that cannot be read"
    name = replace(settings, threads=chosen_threads(None, folder)).differs(before)
    return name and f"{name} {before[name]!r}, not {getattr(settings, name)!r}"


def _edit(rows: Sequence[Row], folder: Path, settings: Settings, engine_of: EngineOf, on_row: Callable) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    settings = replace(settings, threads=chosen_threads(None, folder))
    keep(settings, folder)
    path = folder / "manifest.jsonl"
    with whole(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        for row in rows:
            cells = {name: getattr(row, name) for name in COLUMNS}
            file.write(json.dumps(cells) + "\n")
    engine = engine_of(settings, folder.absolute(), folder.absolute())
    runner.run(Manifest(path), folder, engine, on_row=on_row)


def _costs(rows: Sequence[Row], folder: Path) -> dict[str, dict[str, float]]:
    """Seconds and memory of each pair that is edited."""
    # The folder may hold pairs of an earlier run that are not asked for now, or that had another target.
    asked, table = {row.key for row in rows}, folder / "results.csv"
    last = {result.output: result for result in (results.read(table) if table.is_file() else ()) if result.key in asked}
    return {
        name.removesuffix(".png"): {"seconds": result.seconds}
        | ({"peak_mib": result.peak_mib} if result.peak_mib else {})
        for name, result in last.items()
        if result.status == results.DONE and (folder / name).is_file()
    }


def _stamp(path: Path, pair: Pair, metrics: Metrics) -> str:
    """What the figures of a picture depend on, as a digest."""
    mask = None if pair.mask is None else [pair.mask.size, sha256(pair.mask.tobytes()).hexdigest()]
    times = [each.stat().st_mtime_ns for each in (path, pair.photo)]
    return sha256(json.dumps([times, pair.target, mask, metrics.stamp]).encode()).hexdigest()


def _measured(
    metrics: Metrics,
    pairs: Sequence[Pair],
    pictures: Mapping[str, Path],
    costs: Mapping[str, dict],
    kept: Path,
    notes: list[str],
) -> dict[str, dict[str, float]]:
    """Figures of each pair that has a picture; those that an earlier run has measured are in a file.

    Args:
        notes: takes a sentence about pictures and photos that cannot be read.
    """
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    found, new, unread = {}, 0, []
    for pair in pairs:
        if pair.name not in pictures:
            continue
        path = pictures[pair.name]
        stamp = _stamp(path, pair, metrics)
        if known.get(pair.name, {}).get("stamp") != stamp:
            try:
                edit, photo = (picture("picture", str(each.absolute()), Path()) for each in (path, pair.photo))
            except ValueError as error:
                unread.append(f"{pair.name}: {error}")
                continue
            figures = metrics.of(edit, photo, pair.target, pair.mask)
            known[pair.name] = {"stamp": stamp, "figures": figures}
            new += 1
            if new % KEEP_EVERY == 0:
                _keep_figures(known, kept)
        found[pair.name] = known[pair.name]["figures"] | costs.get(pair.name, {})
    _keep_figures(known, kept)
    if unread:
        notes.append(f"{len(unread)} pairs in {kept.name} could not be measured, first {unread[0]}")
    return found


def _keep_figures(known: Mapping[str, dict], kept: Path) -> None:
    with whole(kept) as unfinished:
        unfinished.write_text(json.dumps(known), encoding="utf-8")
