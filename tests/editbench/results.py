"""RESULTS.md and results.json."""

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path

import diffusers
import torch

from . import earlier, studio
from .judge import Judged
from .legend import legend
from .methods import CEILING, Method
from .pairs import KINDS
from .summary import curve, headline, summary

RECIPE = Path(__file__).with_name("RECIPE.md")  # what a search for the default found, written by hand
# results.json begins with these; the rest are for the tables.
RIVALS = ("default", "instant", "flowedit", "ledits", "inpaint", "paper", "sdedit", "ddim_inversion", "peer")
SAMPLERS = {"demo": "DDIM", "flow": "Euler"}

Rows = dict[tuple[str, str], list[Judged]]  # by method and group, of one model


def collect(
    known: dict[str, Method],
    judged: dict[str, Rows],
    keys: dict[str, dict[str, str]],
    group: str = "bench",
    before: dict[str, dict] | None = None,
) -> dict:
    """Everything that results.json holds, by model.

    Args:
        keys: by model and method, of what decides the figures, see `earlier.keys`.
        before: what an earlier run found of other methods and models, see `earlier.held`.
    """
    before = before or {}
    found = {
        model: _of_model(known, judged.get(model, {}), keys[model], group, before.get(model, {}))
        for model in studio.MODELS
        if model in judged or model in before
    }
    summary, curves, lines, keys = ({model: part[name] for model, part in found.items()} for name in earlier.PARTS)
    shown = dict.fromkeys(name for rows in summary.values() for name in rows)
    return {
        "summary": summary,
        "settings": {name: known[name].settings for name in shown},
        "sampler": {
            "name": {model: SAMPLERS[model] for model in summary},
            "steps": studio.STEPS,
            "guidance": studio.GUIDANCE,
            "seed": studio.SEED,
        },
        "versions": versions(),
        "curves": curves,
        "pairs": lines,
        "keys": keys,
    }


def _of_model(known: dict[str, Method], judged: Rows, keys: dict[str, str], group: str, before: dict) -> dict:
    dials = {name: headline(method, judged[name, group]) for name, method in known.items() if (name, group) in judged}
    found = {
        "summary": {
            name: summary(judged[name, group], dial) | {"date": date.today().isoformat()}
            for name, dial in dials.items()
        },
        "curves": {name: curve(judged[name, group], dials[name]) for name in dials if name != CEILING},
        "pairs": {name: [_line(row, dial) for row in judged[name, group]] for name, dial in dials.items()},
        "keys": {name: keys[name] for name in dials},
    }
    order = dict.fromkeys((*RIVALS, *known))
    found = {part: _ordered(before.get(part, {}) | rows, order) for part, rows in found.items()}
    summaries = found["summary"]
    if "further_target" in summaries and "default" in summaries:
        further = summaries["further_target"]["further_target_plain_samples"]
        summaries["default"]["further_target_plain_samples"] = further
    return found


def _ordered(rows: dict, order: Iterable[str]) -> dict:
    return {name: rows[name] for name in order if name in rows}


def versions() -> dict[str, str]:
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _line(row: Judged, dial: str) -> dict:
    edit, figures = row.pair.edit, row.figures[dial]
    gap = row.reconstruction_gap_db
    return {
        "pair": row.index,
        "kind": edit.kind,
        "source": edit.source_caption,
        "target": edit.target_caption,
        "success": figures.success,
        "complete": figures.complete,
        **{name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(figures).items()},
        "reconstruction_gap_db": None if gap is None else round(gap, 3),
        "forward_equivalents": (row.photo + row.target + row.samples[dial]).forward_equivalents,
        "seconds": round((row.photo + row.target + row.samples[dial]).seconds, 2),
        "plain_sample_seconds": round(row.plain.seconds, 2),
    }


def write(folder: Path, results: dict, known: dict[str, Method], command: str) -> None:
    """Raises nothing of its own; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(_compact(results), encoding="utf-8")
    (folder / "RESULTS.md").write_text(markdown(results, known, command), encoding="utf-8")


def _compact(results: dict) -> str:
    """JSON with one line a pair, so that a difference between two runs can be read."""
    text = json.dumps({**results, "pairs": "PAIRS"}, indent=1, ensure_ascii=False)
    models = [
        f'  "{model}": {{\n'
        + ",\n".join(
            f'   "{name}": [\n' + ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in rows) + "\n   ]"
            for name, rows in methods.items()
        )
        + "\n  }"
        for model, methods in results["pairs"].items()
    ]
    return text.replace('"PAIRS"', "{\n" + ",\n".join(models) + "\n }") + "\n"


def markdown(results: dict, known: dict[str, Method], command: str) -> str:
    about, models = results["versions"], results["summary"]
    missing = [name for name in studio.MODELS if name not in models]
    parts = [
        "# EditBench\n",
        f"Made by `{command}` on {about['date']}, Python {about['python']}, torch {about['torch']}, diffusers "
        f"{about['diffusers']}, {about['machine']}, on the CPU. What the figures mean is said at the end.\n",
        *(f"The {name} model was not there: its figures are missing.\n" for name in missing),
        *(part for model in models for part in _model_parts(model, models[model], known)),
        legend(results),
    ]
    if RECIPE.is_file():
        parts.append(RECIPE.read_text(encoding="utf-8"))
    return "\n".join(part for part in parts if part)


def _model_parts(model: str, summaries: dict, known: dict[str, Method]) -> list[str]:
    methods = [name for name in summaries if name != CEILING]
    return [
        f"## The {model} model\n",
        _dates(summaries),
        "### Complete edits\n",
        _table(
            ("method", "setting", "pairs", "complete", "95 %", *KINDS),
            [(known[name].title, *_score_cells(summaries[name], "complete")) for name in methods],
        ),
        "### Edit score\n",
        _table(
            ("method", "setting", "pairs", "edit score", "95 %", *KINDS),
            [(known[name].title, *_score_cells(summaries[name], "edit_score")) for name in methods],
        ),
        "### What it is made of\n",
        _table(
            (
                *("method", "target there", "others kept", "untouched kept", "of the change", "of the subject"),
                *("untouched", "its SSIM", "whole", "η = 0"),
            ),
            [(known[name].title, *_part_cells(summaries[name])) for name in methods],
        ),
        _ceiling(summaries),
        "### Choosing the setting\n",
        _table(
            (
                *("method", "complete as reported", "best single setting", "best setting per pair"),
                *("edit score as reported", "best single setting", "best setting per pair"),
            ),
            [(known[name].title, *_choice_cells(summaries[name])) for name in methods if known[name].swept],
        ),
        "### Cost of a whole edit\n",
        _table(
            ("method", "forward-equivalents", "plain samples", "a further target, plain samples"),
            [(known[name].title, *_cost_cells(summaries[name])) for name in methods],
        ),
        f"![alignment against fidelity](curve-{model}.png)\n",
        *(f"![{kind}](sheet-{model}-{kind}.jpg)\n" for kind in KINDS),
    ]


def _dates(summaries: dict) -> str:
    """When what was measured, where that was not all on one day."""
    days = sorted({figures["date"] for figures in summaries.values()})
    if len(days) == 1:
        return ""
    named = {day: [name for name, figures in summaries.items() if figures["date"] == day] for day in days}
    return "Measured " + "; ".join(f"on {day}: {', '.join(names)}" for day, names in named.items()) + ".\n"


def _score_cells(figures: dict, score: str) -> tuple:
    """
    Args:
        score: "complete" or "edit_score".
    """
    low, high = figures[f"{score}_interval"]
    kinds = (figures[f"{score}_by_kind"].get(kind) for kind in KINDS)
    cells = [f"**{figures[score]:.2f}**", f"{low:.2f} – {high:.2f}"]
    return (figures["setting"], figures["pairs"], *cells, *("" if value is None else f"{value:.2f}" for value in kinds))


def _part_cells(figures: dict) -> tuple:
    shares = (f"{figures[name]:.2f}" for name in ("target_present", "others_kept", "untouched_kept"))
    return (
        *shares,
        f"{figures['changed_share']:.2f}",
        "" if figures["identity_share"] is None else f"{figures['identity_share']:.2f}",
        _decibels(figures["untouched_psnr"]),
        "" if figures["untouched_ssim"] is None else f"{figures['untouched_ssim']:.3f}",
        _decibels(figures["whole_psnr"]),
        _decibels(figures["reconstruction_gap_db"]),
    )


def _choice_cells(figures: dict) -> tuple:
    best = ("best_single_setting", "best_setting_per_pair")
    names = ("complete", *(f"complete_{name}" for name in best), "edit_score", *best)
    return tuple(f"{figures[name]:.2f}" for name in names)


def _cost_cells(figures: dict) -> tuple:
    cells = (f"{figures[name]:.1f}" for name in ("plain_samples", "further_target_plain_samples"))
    return (f"{figures['forward_equivalents']:,.0f}", *cells)


def _ceiling(summaries: dict) -> str:
    if CEILING not in summaries:
        return ""
    best = summaries[CEILING]
    return (
        f"The ceiling is the true picture sent through the autoencoder: complete {best['complete']:.2f}, edit score "
        f"{best['edit_score']:.2f}, untouched region {_decibels(best['untouched_psnr'])} and SSIM "
        f"{best['untouched_ssim']:.3f}, whole picture {_decibels(best['whole_psnr'])}.\n"
    )


def _decibels(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} dB"


def _table(head: tuple, rows: list[tuple]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
