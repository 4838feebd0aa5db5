"""RESULTS.md and results.json."""

import json
import platform
from dataclasses import asdict
from datetime import date
from pathlib import Path

import diffusers
import torch

from . import studio
from .judge import Judged
from .methods import CEILING, METHODS, Method
from .pairs import KINDS
from .summary import curve, further_target, headline, summary

RECIPE = Path(__file__).with_name("RECIPE.md")  # what a search for the default found, written by hand
# results.json begins with these; the rest are for the tables.
RIVALS = ("default", "instant", "flowedit", "ledits", "inpaint", "paper", "sdedit", "ddim_inversion", "peer")
SAMPLERS = {"demo": "DDIM", "flow": "Euler"}

Rows = dict[tuple[str, str], list[Judged]]  # by method and group, of one model


def collect(known: dict[str, Method], judged: dict[str, Rows], group: str = "bench") -> dict:
    """Everything that results.json holds, by model."""
    found = {model: _of_model(known, rows, group) for model, rows in judged.items()}
    parts = ("summary", "curves", "pairs")
    summary, curves, lines = ({model: part[name] for model, part in found.items()} for name in parts)
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
    }


def _of_model(known: dict[str, Method], judged: Rows, group: str) -> dict:
    dials = {name: headline(method, judged[name, group]) for name, method in known.items() if (name, group) in judged}
    summaries = {name: summary(judged[name, group], dial) for name, dial in dials.items()}
    if "further_target" in dials and "default" in dials:
        further = further_target(judged["further_target", group], dials["further_target"])
        summaries["default"]["further_target_plain_samples"] = further
    order = [name for name in (*RIVALS, *known) if name in summaries]
    return {
        "summary": {name: summaries[name] for name in dict.fromkeys(order)},
        "curves": {name: curve(judged[name, group], dials[name]) for name in dials if name != CEILING},
        "pairs": {name: [_line(row, dial) for row in judged[name, group]] for name, dial in dials.items()},
    }


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
        _explanation(results),
    ]
    if RECIPE.is_file():
        parts.append(RECIPE.read_text(encoding="utf-8"))
    return "\n".join(part for part in parts if part)


def _model_parts(model: str, summaries: dict, known: dict[str, Method]) -> list[str]:
    methods = [name for name in summaries if name != CEILING]
    return [
        f"## The {model} model\n",
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


def _explanation(results: dict) -> str:
    sampler, settings = results["sampler"], results["settings"]
    lines = [
        "## What the figures mean\n",
        "- One setting and one seed for all pairs, methods and models: "
        f"{', '.join(f'{name} ({model})' for model, name in sampler['name'].items())}, {sampler['steps']} steps, "
        f"guidance {sampler['guidance']:g}, seed {sampler['seed']}, as the example workflow has them.",
        "- **Edit score**: the share of pairs on which the classifier sees the target attribute and every other "
        "captioned one, and the region that the edit leaves alone is within 4 dB of the autoencoder's ceiling or at "
        "24 dB and more, against the true edit. That region is where source and true edit are equal, eroded by two "
        "pixels. A style changes every pixel, and night all but a few: where it is under 2 % of the picture, the "
        "attributes alone decide.",
        "- **Complete**: the share of pairs that count for the edit score and whose change is there in nearly all of "
        "its places. Of the places where source and true edit differ (by more than 24, summed over channels), at least "
        "three quarters must be nearer to the true edit than to the source, squared errors averaged over 7 x 7 pixels. "
        "**of the change** is the median of that share. **identity** are edits of subjects that no model has seen and "
        "no caption names (stripes, patches, ears of a third colour, another build, something carried) in pose, "
        "background or colour. There, of the places by which the true edit differs from the same picture of an "
        "ordinary animal, more than half must be nearer to the true edit: **of the subject**. An edit of one of two "
        "subjects is not measured: no caption names two, and no model here was trained to draw two. Frames on the "
        "sheets: green is complete, amber counts for the edit score alone, red for neither; the shares are said below. "
        "Intervals are percentile bootstraps over pairs.",
        "- **untouched**, **whole**: median PSNR against the true edit, in that region and of everything. **η = 0**: "
        "median distance of the reconstruction from what the autoencoder makes of the photo.",
        "- **Setting**: η, α, strength, guidance and share of the steps, guidance and threshold, or the text that was "
        "inverted under. This pack's are what it ships with; its rivals' are those most often complete on these very "
        "pairs, and among equals with the highest edit score, which favours them.",
        "- **Choosing**: the best single setting is the one η (or strength ...) for all pairs that does best on these "
        "very pairs; the best per pair is what one who sees the truth would choose, which is more than any method can. "
        "Pick Edit sees neither truth nor classifier, and pays for drawing every η and looking at it.",
        "- **Forward-equivalents**: one network evaluation on one latent is 1, a backward through activations 1 more, "
        "a weight gradient 1 more; counted by hooks. **Plain samples**: wall time over that of one 50-step sample with "
        "guidance in the same process just before. Medians over pairs, one picture sampled. The default's further "
        "target is what it takes where it was tuned under a caption of the photo, with that row's edit score.",
        *(
            f"- {METHODS[name].title}: `{json.dumps(values)}`"
            for name, values in settings.items()
            if name in METHODS and values
        ),
        "",
    ]
    return "\n".join(lines)
