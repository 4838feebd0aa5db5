"""A picture against the true picture of its edit."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, uniform_filter
from scipy.stats import bootstrap
from skimage.metrics import structural_similarity
from torch import Tensor

from demo.scenes import VALUES

from .pairs import Pair
from .registration import register

EROSION = 5  # pixels across, so that what an edge's blur or the autoencoder carries over does not count
SMALLEST_REGION = 0.02  # of the picture; less says nothing
CLOSE_TO_CEILING, CLOSE = 4.0, 24.0  # dB: within the one of the ceiling, or at the other and more
CHANGED = 24  # summed over channels: less is not seen, and the autoencoder loses it
WINDOW = 7  # pixels across, over which errors are averaged, so that an edge a pixel off still counts as drawn
COMPLETE = 0.75  # of the changed places
# Of the places that show what is odd about a subject. Marks are small: four pixels off in a new pose cost a third.
KEPT = 0.5


def untouched_region(pair: Pair) -> np.ndarray | None:
    """Where the edit leaves the picture alone, bool [128, 128]: where source and truth are equal, slightly eroded.

    None if there is no such place to speak of: a style changes every pixel, night dims even the animal.
    """
    equal = (pair.source == pair.truth).all(-1)
    region = binary_erosion(equal, np.ones((EROSION, EROSION)), border_value=1)
    return region if region.mean() >= SMALLEST_REGION else None


def changed_region(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two uint8 pictures [H, W, 3] differ for an eye to see, bool [H, W]."""
    return np.abs(one.astype(int) - other).sum(-1) > CHANGED


def nearer_share(picture: np.ndarray, truth: np.ndarray, other: np.ndarray) -> float:
    """Of the places where `truth` and `other` differ, the share where a uint8 picture is nearer to the truth."""

    def error(wanted: np.ndarray) -> np.ndarray:
        return uniform_filter(((picture.astype(float) - wanted) ** 2).sum(-1), WINDOW)

    return float((error(truth) < error(other))[changed_region(truth, other)].mean())


def psnr(picture: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Decibels of uint8 pictures [H, W, 3], over `region` [H, W] or the whole; 99 for equal ones."""
    error = (picture.astype(float) - truth) ** 2
    mean = error.mean() if region is None else error[region].mean()
    return float(min(99.0, 10 * np.log10(255**2 / mean))) if mean else 99.0


def ssim(picture: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Mean structural similarity of uint8 pictures [H, W, 3] over `region` or the whole."""
    _, similarity = structural_similarity(picture, truth, channel_axis=-1, full=True)
    return float(similarity.mean() if region is None else similarity[region].mean())


@dataclass(frozen=True)
class Ceilings:
    """What the autoencoder makes of a pair's source and truth, uint8 [128, 128, 3]: no edit can be nearer."""

    source: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Figures:
    """How one picture does. dB and SSIM are against the truth; the ceiling is that of a perfect edit."""

    target_probability: float
    target: bool  # the classifier sees the attribute that was asked for
    kept: bool  # and every other one that the caption states
    untouched_psnr: float | None  # None where the edit leaves nothing alone
    untouched_ssim: float | None
    ceiling_psnr: float | None
    ceiling_ssim: float | None
    whole_psnr: float
    whole_ceiling_psnr: float
    changed_share: float  # of the places that the edit changes, those nearer to the truth than to the source
    identity_share: float | None = (
        None  # of what is odd about the subject, what is nearer to it than to an ordinary one
    )

    @property
    def untouched(self) -> bool:
        """Where nothing is to be left alone, the other attributes alone say that the rest was kept."""
        if self.untouched_psnr is None:
            return True
        return self.untouched_psnr >= min(CLOSE, self.ceiling_psnr - CLOSE_TO_CEILING)

    @property
    def success(self) -> bool:
        """Counts for the edit score."""
        return self.target and self.kept and self.untouched

    @property
    def complete(self) -> bool:
        """A success whose change is there in nearly all of its places: no hole of day in a night sky, no old pose.

        Of a subject that no caption names, more than half of what is odd about it must be there as well.
        """
        kept = self.identity_share is None or self.identity_share > KEPT
        return self.success and self.changed_share >= COMPLETE and kept


def figures(pair: Pair, picture: np.ndarray, ceilings: Ceilings, seen: dict[str, Tensor]) -> Figures:
    """
    Args:
        picture: uint8 [128, 128, 3].
        seen: the classifier's probabilities [values] of the picture, by attribute.
    """
    drawn, pair = pair.truth, register(pair, picture)
    kind, wanted = pair.edit.attribute, vars(pair.edit.truth.attributes)
    right = {name: VALUES[name][int(seen[name].argmax())] == wanted[name] for name in VALUES}
    if wanted["style"] == "sketch":
        right["colour"] = True  # a sketch is grey
    region = untouched_region(pair)

    def in_region(measure, image: np.ndarray) -> float | None:
        return None if region is None else measure(image, pair.truth, region)

    return Figures(
        target_probability=float(seen[kind][VALUES[kind].index(pair.edit.value)]),
        target=right[kind],
        kept=all(hit for name, hit in right.items() if name != kind),
        untouched_psnr=in_region(psnr, picture),
        untouched_ssim=in_region(ssim, picture),
        ceiling_psnr=in_region(psnr, ceilings.source),
        ceiling_ssim=in_region(ssim, ceilings.source),
        whole_psnr=psnr(picture, pair.truth),
        whole_ceiling_psnr=psnr(ceilings.truth, drawn),
        changed_share=nearer_share(picture, pair.truth, pair.source),
        identity_share=None if pair.ordinary is None else nearer_share(picture, pair.truth, pair.ordinary),
    )


def interval(successes: list[bool]) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a share, resampling pairs."""
    if len(set(successes)) == 1:
        return float(successes[0]), float(successes[0])
    values = np.array(successes, float)
    found = bootstrap((values,), np.mean, method="percentile", n_resamples=9999, random_state=0, vectorized=True)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
