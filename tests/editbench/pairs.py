"""The pairs: a picture no model has seen, a sentence, and the true picture of what the sentence asks for."""

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from demo.scenes import edits, render
from demo.scenes.edits import IDENTITY, Edit, draw_edits, draw_identity_edits, ordinary
from demo.scenes.nuisance import Nuisance

KINDS = (*edits.KINDS, IDENTITY)
BENCH_SEED, DEVELOPMENT_SEED = 2210, 9276
PER_KIND = {"bench": 20, "development": 8}


@dataclass(frozen=True)
class Pair:
    edit: Edit
    placed: Nuisance | None = None  # with the animal of the truth in another place

    @cached_property
    def source(self) -> np.ndarray:
        """uint8 [128, 128, 3]."""
        return render(self.edit.scene)

    @cached_property
    def truth(self) -> np.ndarray:
        """uint8 [128, 128, 3]: the source redrawn with the one attribute changed."""
        return render(self.edit.truth, self.placed)

    @cached_property
    def ordinary(self) -> np.ndarray | None:
        """The truth with nothing odd about its subject: what a caption says of it. None if there is nothing odd."""
        return render(ordinary(self.edit.truth), self.placed) if self.edit.scene.oddity else None

    @cached_property
    def digest(self) -> str:
        """Of all that methods and metrics see of it."""
        digest = hashlib.sha256(f"{self.edit.source_caption}\n{self.edit.target_caption}".encode())
        for picture in (self.source, self.truth):
            digest.update(picture.tobytes())
        return digest.hexdigest()[:12]


def bench() -> list[Pair]:
    """The 120 pairs that figures are reported on."""
    return _drawn(PER_KIND["bench"], BENCH_SEED)


def development() -> list[Pair]:
    """The 48 pairs that settings may be chosen on."""
    return _drawn(PER_KIND["development"], DEVELOPMENT_SEED)


@cache
def group(name: str) -> list[Pair]:
    return {"bench": bench, "development": development}[name]()


def _drawn(per_kind: int, seed: int) -> list[Pair]:
    """One of each kind in turn, so that the first N pairs are a fair sample of all."""
    found = [*draw_edits(per_kind, seed), *draw_identity_edits(per_kind, seed)]
    by_kind = [[edit for edit in found if edit.kind == kind] for kind in KINDS]
    return [Pair(edit) for row in zip(*by_kind, strict=True) for edit in row]
