"""The method as a batch sees it: load a model, learn a photo, draw a row. All else here knows no diffusers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ..scoring import rank
from .manifest import Row
from .settings import PEERS, Settings

SCORE_SAMPLES = 8


@dataclass
class Learned:
    """An edit of one photo, and the evaluations that it took to learn it."""

    edit: Any  # imagic.diffusers.ImagicEdit
    evaluations: int = 0
    kept: bool = False  # in a file


@dataclass
class Drawn:
    picture: Image.Image
    evaluations: int
    alignment: float | None = None
    fidelity: float | None = None


def load(settings: Settings) -> Any:
    """The pipeline, as `imagic edit` loads it.

    Raises:
        ValueError: there is none, or not on this device; or the run's method does not run on it.
    """
    from ..diffusers import load_pipeline, peers

    torch.set_num_threads(settings.threads)
    how = {"device": settings.device, "dtype": settings.dtype, "offload": settings.offload, "config": settings.config}
    pipeline = load_pipeline(settings.model, **how)
    pipeline.set_progress_bar_config(disable=True)
    if settings.recipe in PEERS:
        peers.make(settings.recipe, pipeline)  # now, and not at every row
    return pipeline


def learn(pipeline: Any, photo: Image.Image, row: Row, settings: Settings) -> Learned:
    """Stages A and B; where the run is instant, the row's caption in their place.

    Raises:
        ValueError: the photo is none that the model can take, or an instant row has no caption.
    """
    from ..diffusers import EmbeddingSettings, TuningSettings, instant, peers, tune
    from ..diffusers.fitting import fitted

    image = fitted(pipeline, photo, settings.size)
    if settings.recipe in PEERS:
        return Learned(peers.PeerEdit(settings.recipe, pipeline, image, row.anchor, row.caption))
    if settings.instant:
        if not row.caption:
            raise ValueError("caption is empty: say what the photo shows, or run without --instant.")
        return Learned(instant(pipeline, image, row.caption))
    if settings.recipe == "paper":
        from ..bench import paper

        edit = paper.tune(pipeline, image, row.anchor, settings.embedding_steps, settings.tuning_steps)
        return Learned(edit, sum(history.forward_equivalents for history in edit.histories))
    shared = {"gradient_checkpointing": settings.gradient_checkpointing}
    first, second = (
        shared if steps is None else {"steps": steps, **shared}
        for steps in (settings.embedding_steps, settings.tuning_steps)
    )
    edit = tune(pipeline, image, row.anchor, embedding=EmbeddingSettings(**first), tuning=TuningSettings(**second))
    return Learned(edit, sum(history.forward_equivalents for history in edit.histories))


def draw(learned: Learned, row: Row, photo: Image.Image, mask: Image.Image | None, settings: Settings) -> Drawn:
    """Stage C: the picture of a row, put back into the photo at its full size, as `imagic edit` does.

    Raises:
        ValueError: the model gives no finite picture.
    """
    from ..diffusers import restored

    edit = learned.edit
    prompt = None if row.anchor == row.sentence else row.sentence
    put_back = settings.recipe == "default" and not settings.as_drawn
    with _counting(edit.pipeline) as count:
        region = mask
        if put_back and mask is None:
            region = edit.region(prompt, threshold=settings.threshold, guidance_scale=settings.guidance_scale)
        picture = edit.sample(
            row.strength,
            prompt=prompt,
            negative_prompt=settings.negative_prompt,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            threshold=settings.threshold,
            mask_image=region,
            generator=torch.Generator().manual_seed(row.seed),
        )
    drawn = Drawn(picture, count[0])
    if settings.scores:
        _score(drawn, edit, prompt)
    if put_back:
        drawn.picture = restored(edit, photo, picture, region)
    return drawn


def forget_peak(pipeline: Any) -> None:
    """Begin a new peak of the memory of the pipeline's GPU, where it has one."""
    if pipeline._execution_device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(pipeline._execution_device)


def peak(pipeline: Any) -> int:
    """MiB that tensors took at most on the GPU since `forget_peak`; on a CPU 0, since its memory is the process's."""
    device = pipeline._execution_device
    return torch.cuda.max_memory_allocated(device) >> 20 if device.type == "cuda" else 0


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
    from ..diffusers import pictures
    from ..diffusers.borrowing import borrowed
    from ..diffusers.families import family_of

    family = family_of(edit.pipeline)
    latent = pictures.encode(edit.pipeline, drawn.picture, family.multiple)
    with borrowed(edit.pipeline, latent) as denoiser, torch.no_grad():
        wanted = edit.anchor if target is None else family.texts(target)[0]
        ends = [{name: value.to(denoiser.device) for name, value in text.items()} for text in (edit.optimized, wanted)]
        ranking = rank(denoiser, edit.photo.to(denoiser.device), latent, *ends, samples=SCORE_SAMPLES)
    drawn.alignment, drawn.fidelity = float(ranking.alignment[0]), float(ranking.fidelity[0])
    drawn.evaluations += ranking.forward_equivalents


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
