"""The pictures of the README and of docs/gallery.md, drawn anew by the pack: python -m scripts.gallery

Five minutes on two CPU cores. The edits are the first two of each kind that a fixed number draws, from pictures that no
model has seen. None is left out and each is drawn once, with the default settings, so the gallery shows failures too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from demo.load import pipeline
from demo.scenes import render
from demo.scenes.edits import Edit, draw_edits, draw_identity_edits
from imagic.diffusers import ImagicEdit, tune

ROOT = Path(__file__).absolute().parent.parent
ASSETS = ROOT / "assets"
PHOTO, SENTENCE = ROOT / "demo" / "photo.png", "a brown dog sitting in the snow wearing a hat"
SEED, PER_KIND = 20221017, 2  # the day the paper appeared: neither EditBench's pairs nor those that settings come from
STRENGTHS, DEFAULT = (0, 0.4, 0.8, 1, 1.2, 1.4), 1.2

GAP, LINE = 10, 20
INK, PAPER, LIGHT, ACCENT = (36, 41, 47), (255, 255, 255), (205, 211, 218), (222, 120, 20)
WIPE, HELD, MILLISECONDS = 10, (1300, 1900), 60  # frames of a wipe; how long photo and edit stay; of a frame


@dataclass(frozen=True)
class Pictures:
    """A photo, the sentence, and what came of it."""

    kind: str
    sentence: str
    photo: Image.Image
    edited: Image.Image


def edits() -> list[Edit]:
    """Two of each kind, kind by kind."""
    return [*draw_edits(PER_KIND, SEED), *draw_identity_edits(PER_KIND, SEED)]


def draw(edit: Edit, learn: Callable[[Image.Image, str], ImagicEdit]) -> Pictures:
    """One edit with the default settings."""
    photo = Image.fromarray(render(edit.scene))
    return Pictures(edit.kind, edit.target_caption, photo, learn(photo, edit.target_caption).sample())


def sheet(rows: Sequence[Pictures], panel: int = 192) -> Image.Image:
    """Every photo beside its edit under the sentence, two edits a row, one kind a row."""
    font = ImageFont.load_default(size=13)
    width, height = 2 * panel + 3 * GAP, LINE + panel + GAP
    page = Image.new("RGB", (2 * width, GAP + height * ((len(rows) + 1) // 2)), PAPER)
    pen = ImageDraw.Draw(page)
    for number, row in enumerate(rows):
        left, top = GAP + width * (number % 2), GAP + height * (number // 2)
        pen.text((left, top), row.sentence, INK, font)
        for column, picture in enumerate((row.photo, row.edited)):
            page.paste(_scaled(picture, panel), (left + column * (panel + 4), top + LINE))
    return page


def animation(rows: Sequence[Pictures], columns: int = 3, panel: int = 256) -> list[Image.Image]:
    """Frames in which a line goes over each photo and leaves the edit behind, and back."""
    font = ImageFont.load_default(size=12)
    width, height = panel + GAP, panel + LINE + GAP
    blank = Image.new("RGB", (GAP + width * columns, GAP + height * -(-len(rows) // columns)), PAPER)
    pen = ImageDraw.Draw(blank)
    places = [(GAP + width * (number % columns), GAP + height * (number // columns)) for number in range(len(rows))]
    for (left, top), row in zip(places, rows, strict=True):
        pen.text((left, top + panel + 4), row.sentence, INK, font)
    scaled = [(_scaled(row.photo, panel), _scaled(row.edited, panel)) for row in rows]

    def frame(share: float) -> Image.Image:
        page, edge = blank.copy(), round(share * panel)
        pen = ImageDraw.Draw(page)
        for (left, top), (photo, edited) in zip(places, scaled, strict=True):
            page.paste(photo, (left, top))
            page.paste(edited.crop((0, 0, edge, panel)), (left, top))
            if 0 < edge < panel:
                pen.line((left + edge, top, left + edge, top + panel - 1), PAPER, 2)
        return page

    wipe = [step / WIPE for step in range(WIPE + 1)]
    return [frame(share) for share in (*wipe, *wipe[-2:0:-1])]


def save_animation(frames: Sequence[Image.Image], path: Path) -> None:
    """A GIF that runs for ever: the photo stays a while, then the edit does."""
    palette = frames[len(frames) // 4].quantize(256, Image.Quantize.MEDIANCUT)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [MILLISECONDS] * len(frames)
    durations[0], durations[WIPE] = HELD
    indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=durations, loop=0, optimize=True)


def dial(panels: Sequence[tuple[float, Image.Image]], sentence: str, panel: int = 160) -> Image.Image:
    """An edit at several strengths above the dial, its knob where the default is."""
    large, small = ImageFont.load_default(size=15), ImageFont.load_default(size=13)
    width = panel + GAP
    page = Image.new("RGB", (GAP + width * len(panels), LINE + panel + 3 * GAP + 3 * LINE), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((GAP, GAP // 2), sentence, INK, large)
    track = LINE + 2 * GAP + panel + 14
    middles = [GAP + width * number + panel // 2 for number in range(len(panels))]
    pen.line((middles[0], track, middles[-1], track), LIGHT, 6)
    for middle, (strength, picture) in zip(middles, panels, strict=True):
        page.paste(_scaled(picture, panel), (middle - panel // 2, LINE + GAP))
        chosen = strength == DEFAULT
        radius = 9 if chosen else 4
        pen.ellipse((middle - radius, track - radius, middle + radius, track + radius), ACCENT if chosen else LIGHT)
        pen.text((middle, track + 14), f"strength {strength:g}", INK, small, anchor="ma")
        what = {0: "the photo, nearly as it was", DEFAULT: "the default"}.get(strength)
        if what:
            pen.text((middle, track + 32), what, ACCENT if chosen else INK, small, anchor="ma")
    return page


def _scaled(picture: Image.Image, size: int) -> Image.Image:
    return picture.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)


def main() -> None:
    """Draw everything and write it into assets/."""
    model = pipeline()

    def learn(photo: Image.Image, sentence: str) -> ImagicEdit:
        print(sentence, flush=True)
        return tune(model, photo, sentence)

    rows = [draw(edit, learn) for edit in edits()]
    sheet(rows).save(ASSETS / "gallery.jpg", quality=90)
    save_animation(animation(rows[::PER_KIND]), ASSETS / "before-after.gif")
    photo = Image.open(PHOTO).convert("RGB")
    edit = learn(photo, SENTENCE)
    dial([(eta, edit.sample(eta)) for eta in STRENGTHS], SENTENCE).save(ASSETS / "strength.png", optimize=True)


if __name__ == "__main__":
    main()
