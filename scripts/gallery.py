"""The pictures of the README and of docs/gallery.md, drawn anew by the pack: python -m scripts.gallery

One to ten minutes on two CPU cores. The edits are the first two of each kind that a fixed number draws, from pictures
that no model has seen. Each is drawn once, with the default settings. gallery.jpg shows all, the failures too; what
moves in before-after.gif is the half that EditBench's measures put nearer to the true pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diffusers import DiffusionPipeline
from PIL import Image

from demo import classifier
from demo.load import pipeline
from demo.scenes.edits import draw_edits, draw_identity_edits
from imagic.diffusers import pictures, tune
from scripts import posters
from tests.editbench.metrics import Ceilings, Figures, figures
from tests.editbench.pairs import Pair

ROOT = Path(__file__).absolute().parent.parent
ASSETS = ROOT / "assets"
PHOTO, SENTENCE = ROOT / "demo" / "photo.png", "a brown dog sitting in the snow wearing a hat"
SEED, PER_KIND = 20221017, 2  # the day the paper appeared: neither EditBench's pairs nor those that settings come from
VERDICTS = ("complete", "right in part", "missed")
STRENGTHS, DEFAULT = (0, 0.4, 0.8, 1, 1.2, 1.4), 1.2


@dataclass(frozen=True)
class Row:
    """A photo, the sentence, and what came of it."""

    sentence: str
    photo: Image.Image
    edited: Image.Image
    figures: Figures

    @property
    def verdict(self) -> str:
        """EditBench's, in a word."""
        return VERDICTS[0 if self.figures.complete else 1 if self.figures.success else 2]

    @property
    def short_of_truth(self) -> float:
        """How much further from the true picture than the autoencoder alone, in dB."""
        return self.figures.whole_ceiling_psnr - self.figures.whole_psnr


def pairs() -> list[Pair]:
    """Two of each kind, kind by kind."""
    return [Pair(edit) for edit in (*draw_edits(PER_KIND, SEED), *draw_identity_edits(PER_KIND, SEED))]


def draw(model: DiffusionPipeline, pair: Pair) -> Row:
    """One edit with the default settings."""
    photo, sentence = Image.fromarray(pair.source), pair.edit.target_caption
    print(sentence, flush=True)
    edited = tune(model, photo, sentence).sample()
    return Row(sentence, photo, edited, judged(model, pair, edited))


def judged(model: DiffusionPipeline, pair: Pair, edited: Image.Image) -> Figures:
    """A pair's edit by EditBench's measures."""

    def passed_through(picture: np.ndarray) -> np.ndarray:
        return np.asarray(pictures.decode(model, pictures.encode(model, Image.fromarray(picture), multiple=8)))

    seen = classifier.predict(classifier.load(), np.array(edited)[None])
    ceilings = Ceilings(passed_through(pair.source), passed_through(pair.truth))
    return figures(pair, np.asarray(edited), ceilings, {name: values[0] for name, values in seen.items()})


def nearer_half(rows: Sequence[Row]) -> list[Row]:
    """The half that is nearer to the true pictures, in the order it came in."""
    ranked = sorted(range(len(rows)), key=lambda number: rows[number].short_of_truth)
    return [rows[number] for number in sorted(ranked[: len(rows) // 2])]


def write(rows: Sequence[Row], strengths: Mapping[float, Image.Image]) -> None:
    """Lay everything out in assets/.

    Args:
        strengths: the edits of the demo's photo.
    """
    everything = [(("photo", row.photo), (row.verdict, row.edited)) for row in rows]
    posters.sheet(everything, [row.sentence for row in rows]).save(ASSETS / "gallery.jpg", quality=88)
    frames = posters.wipe([(row.sentence, row.photo, row.edited) for row in nearer_half(rows)])
    posters.save_animation(frames, ASSETS / "before-after.gif")
    dial = posters.dial(list(strengths.items()), SENTENCE, DEFAULT)
    dial.save(ASSETS / "strength.png", optimize=True)


def main() -> None:
    """Draw everything and write it into assets/."""
    model = pipeline()
    rows = [draw(model, pair) for pair in pairs()]
    print(", ".join(f"{sum(row.verdict == verdict for row in rows)} {verdict}" for verdict in VERDICTS))
    edit = tune(model, Image.open(PHOTO).convert("RGB"), SENTENCE)
    write(rows, {strength: edit.sample(strength) for strength in STRENGTHS})


if __name__ == "__main__":
    main()
