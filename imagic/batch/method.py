"""The method as a batch sees it: load a model, learn a photo, draw a row. All else here knows no diffusers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..photo import normalized
from ..scoring import rank
from .manifest import Row
from .settings import Settings

SCORE_SAMPLES = 8


@dataclass
class Learned:
    """An edit of one photo, and the evaluations that it took to learn it."""

    edit: Any  # imagic.diffusers.ImagicEdit
    evaluations: int = 0
    size: tuple[int, int] | None = None  # of the photo, in pixels; None where it was read from a file
    kept: bool = False  # in a file


@dataclass
class Drawn:
    picture: Image.Image
    evaluations: int
    alignment: float | None = None
    fidelity: float | None = None


def load(settings: Settings) -> Any:
    """The pipeline, as `imagic edit` loads it."""
    torch.set_num_threads(settings.threads)
    from demo import load as demo

    return demo.pipeline()


def learn(pipeline: Any, photo: Image.Image, row: Row, settings: Settings) -> Learned:
    """Stages A and B; where the run is instant, the row's caption in their place.

    Raises:
        ValueError: the photo is none that the model can take, or an instant row has no caption.
    """
    from ..diffusers import ImagicEdit, pictures, tune
    from ..diffusers.families import family_of

    photo = normalized(photo)
    if settings.instant:
        if not row.caption:
            raise ValueError("caption is empty: say what the photo shows, or run without --instant.")
        family = family_of(pipeline)
        latent = pictures.encode(pipeline, photo, family.multiple)
        anchor, _ = family.texts(row.caption)
        return Learned(ImagicEdit(pipeline, latent, row.caption, anchor, anchor, {}), size=photo.size)
    steps = {"embedding": settings.embedding_steps, "tuning": settings.tuning_steps}
    edit = tune(pipeline, photo, row.anchor, **{name: {"steps": n} for name, n in steps.items() if n is not None})
    return Learned(edit, sum(history.forward_equivalents for history in edit.histories), photo.size)


def draw(learned: Learned, row: Row, mask: Image.Image | None, settings: Settings) -> Drawn:
    """Stage C: the picture of a row.

    Raises:
        ValueError: the mask is not of the photo's shape, or the model gives no finite picture.
    """
    edit = learned.edit
    target = None if row.anchor == row.sentence else row.sentence
    region = None if mask is None else _region(mask, learned)
    with _counting(edit.pipeline) as count:
        picture = edit.sample(
            row.strength,
            target,
            steps=settings.num_inference_steps,
            guidance=settings.guidance_scale,
            threshold=settings.threshold,
            region=region,
            seed=row.seed,
        )
    drawn = Drawn(picture, count[0])
    if settings.scores:
        _score(drawn, edit, target)
    return drawn


def to_bytes(learned: Learned) -> bytes:
    """The edit file, see `ImagicEdit.save`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "edit.safetensors")
        learned.edit.save(path)
        return path.read_bytes()


def from_file(path: Path, pipeline: Any) -> Learned:
    """Go on with an edit file.

    Raises:
        NotAnEdit: it is damaged.
    """
    from ..diffusers import ImagicEdit

    return Learned(ImagicEdit.load(path, pipeline), kept=True)


def _score(drawn: Drawn, edit: Any, target: str | None) -> None:
    """How much better than the photo the picture shows the target, and how much of the photo is where it was."""
    from ..diffusers import DiffusersDenoiser, pictures
    from ..diffusers.families import family_of

    family = family_of(edit.pipeline)
    latent = pictures.encode(edit.pipeline, drawn.picture, family.multiple)
    with torch.no_grad():
        denoiser = DiffusersDenoiser(edit.pipeline, latent.shape[-2:])
        wanted = edit.anchor if target is None else family.texts(target)[0]
        ends = [{name: value.to(denoiser.device) for name, value in text.items()} for text in (edit.optimized, wanted)]
        ranking = rank(denoiser, edit.photo.to(denoiser.device), latent, *ends, samples=SCORE_SAMPLES)
    drawn.alignment, drawn.fidelity = float(ranking.alignment[0]), float(ranking.fidelity[0])
    drawn.evaluations += ranking.forward_equivalents


def _region(mask: Image.Image, learned: Learned) -> Tensor:
    """A mask of the photo as the region of its latent, [1, 1, ..., h, w]: the share of white in each position."""
    mask = normalized(mask).convert("L")
    if learned.size is not None and mask.size != learned.size:
        sizes = [f"{width} x {height}" for width, height in (mask.size, learned.size)]
        raise ValueError(f"mask is {sizes[0]} and the photo {sizes[1]}: draw it at the photo's size.")
    latent = learned.edit.photo
    height, width = latent.shape[-2:]
    white = np.asarray(mask.resize((width, height), Image.Resampling.BOX), dtype=np.float32) / 255
    return torch.from_numpy(white).expand(1, 1, *latent.shape[2:]).clone()


@contextmanager
def _counting(pipeline: Any) -> Iterator[list[int]]:
    """Inside, evaluations of the pipeline's network are counted, one for each latent."""
    from ..diffusers.families import family_of

    count = [0]

    def add(_module, args: tuple, kwargs: dict) -> None:
        count[0] += len(args[0] if args else kwargs.get("hidden_states", kwargs.get("sample")))

    hook = family_of(pipeline).network.register_forward_pre_hook(add, with_kwargs=True)
    try:
        yield count
    finally:
        hook.remove()
