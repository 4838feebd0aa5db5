"""The figures of a method over all of its pairs."""

from collections.abc import Callable, Iterable
from statistics import mean, median

from . import metrics
from .judge import Judged
from .methods import Method
from .methods.default import PICKED
from .pairs import KINDS


def edit_score(rows: Iterable[Judged], dial: str) -> float:
    """The share of pairs with the target present, all else kept, and the untouched region close to the truth."""
    return mean(row.figures[dial].success for row in rows)


def complete(rows: Iterable[Judged], dial: str) -> float:
    """The share of pairs that count for the edit score and whose change is there in nearly all of its places."""
    return mean(row.figures[dial].complete for row in rows)


def best_dial(rows: list[Judged], score: Callable[[list[Judged], str], float] = complete) -> str:
    """The single setting with the highest `score`; among equals, with the highest edit score, and then the one most
    faithful to the truth."""

    def rank(dial: str) -> tuple[float, float, float]:
        return score(rows, dial), edit_score(rows, dial), mean(row.figures[dial].whole_psnr for row in rows)

    return max(settings(rows), key=rank)


def settings(rows: list[Judged]) -> list[str]:
    """What the dial can be set to, in order; the automatic pick is none of them."""
    return [dial for dial in rows[0].figures if dial != PICKED]


def best_per_pair(rows: list[Judged], counts: str = "success") -> float:
    """The score of one who sees the truth and takes the best setting of each pair: `success` or `complete`."""
    return mean(any(getattr(figures, counts) for figures in row.figures.values()) for row in rows)


def headline(method: Method, rows: list[Judged]) -> str:
    """The one dial a method is reported at."""
    return method.headline or best_dial(rows)


def summary(rows: list[Judged], dial: str) -> dict:
    """What results.json says of a method. Costs are medians of a whole edit with one picture, the sampling included."""
    by_kind = {kind: [row for row in rows if row.pair.edit.kind == kind] for kind in KINDS}
    shown = [row.figures[dial] for row in rows]
    gaps = [row.reconstruction_gap_db for row in rows if row.reconstruction_gap_db is not None]
    whole = [row.photo + row.target + row.samples[dial] for row in rows]
    return {
        "pairs": len(rows),
        "setting": dial,
        "edit_score": _rounded(edit_score(rows, dial)),
        "edit_score_by_kind": {kind: _rounded(edit_score(some, dial)) for kind, some in by_kind.items() if some},
        "edit_score_interval": [_rounded(end) for end in metrics.interval([figures.success for figures in shown])],
        "complete": _rounded(complete(rows, dial)),
        "complete_by_kind": {kind: _rounded(complete(some, dial)) for kind, some in by_kind.items() if some},
        "complete_interval": [_rounded(end) for end in metrics.interval([figures.complete for figures in shown])],
        "best_single_setting": _rounded(edit_score(rows, best_dial(rows, edit_score))),
        "best_setting_per_pair": _rounded(best_per_pair(rows)),
        "complete_best_single_setting": _rounded(complete(rows, best_dial(rows))),
        "complete_best_setting_per_pair": _rounded(best_per_pair(rows, "complete")),
        "target_present": _rounded(mean(figures.target for figures in shown)),
        "others_kept": _rounded(mean(figures.kept for figures in shown)),
        "untouched_kept": _rounded(mean(figures.untouched for figures in shown)),
        "changed_share": _median(figures.changed_share for figures in shown),
        "identity_share": _median(figures.identity_share for figures in shown),
        "untouched_psnr": _median(figures.untouched_psnr for figures in shown),
        "untouched_ssim": _median(figures.untouched_ssim for figures in shown),
        "untouched_ceiling_psnr": _median(figures.ceiling_psnr for figures in shown),
        "untouched_ceiling_ssim": _median(figures.ceiling_ssim for figures in shown),
        "whole_psnr": _median(figures.whole_psnr for figures in shown),
        "whole_ceiling_psnr": _median(figures.whole_ceiling_psnr for figures in shown),
        "reconstruction_gap_db": _median(gaps),
        "forward_equivalents": median(cost.forward_equivalents for cost in whole),
        "plain_samples": _plain_samples(rows, [cost.seconds for cost in whole]),
        "further_target_plain_samples": further_target(rows, dial),
    }


def further_target(rows: list[Judged], dial: str) -> float:
    """Another target text on the same photo, in plain samples: everything but what is spent once per photo."""
    return _plain_samples(rows, [(row.target + row.samples[dial]).seconds for row in rows])


def curve(rows: list[Judged], reported: str) -> list[dict]:
    """Alignment against fidelity over the dial, as the paper draws it (arXiv 2210.09276, Fig. 8); of the automatic pick
    that alone."""
    return [
        {
            "setting": dial,
            "alignment": _rounded(mean(row.figures[dial].target_probability for row in rows)),
            "fidelity_db": _mean(row.figures[dial].untouched_psnr for row in rows),
            "edit_score": _rounded(edit_score(rows, dial)),
            "complete": _rounded(complete(rows, dial)),
        }
        for dial in ([PICKED] if reported == PICKED else settings(rows))
    ]


def _plain_samples(rows: list[Judged], seconds: list[float]) -> float:
    return _rounded(median(spent / row.plain.seconds for row, spent in zip(rows, seconds, strict=True)))


def _present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _median(values: Iterable[float | None]) -> float | None:
    return _rounded(median(found)) if (found := _present(values)) else None


def _mean(values: Iterable[float | None]) -> float | None:
    return _rounded(mean(found)) if (found := _present(values)) else None


def _rounded(value: float) -> float:
    return round(float(value), 3)
