"""Where an editor's picture lies on the photo: editors shift and zoom the frame by a few pixels or percent."""

import torch
from scipy.optimize import least_squares
from torch import Tensor

from .resampling import Axis, resample, resize
from .seam import blurred

# Of the shorter side, pixels: from coarse to fine, for a fit finds its way over a pixel or two only.
SIDES = (48, 96, 192, 384)
FARTHEST = 0.1  # of a side: what moved further is another picture
NEAREST = 0.1  # pixels of the edit: less is not worth a resampling
BETTER = 0.85  # of the median difference before. A fifth of a pixel gives 0.75, another picture 0.94 and more.
WINDOW = 3.0  # pixels to each side, of which light and contrast are taken out
FLAT = 0.02  # contrast, of 0..1, below which there is nothing to hold on to


def aligned(after: Tensor, before: Tensor) -> tuple[Tensor, tuple[Axis, Axis]]:
    """The edit [h, w, 3] moved onto the picture before it [h, w, 3], and the rows and columns where it was read.

    Shift and zoom of rows and of columns are fitted by robust least squares (Cauchy's loss), which what the edit itself
    changes hardly moves; light and contrast are evened out first. Where no fit helps, the edit is given back as it is.
    """
    height, width = after.shape[:2]
    moved = torch.zeros(4, dtype=torch.float64)
    for side in SIDES:
        scale = min(1.0, side / min(height, width))
        size = round(height * scale), round(width * scale)
        pair = [_structure(resize(picture, *size)) for picture in (after, before)]
        moved, gain = _fit(*pair, moved)
        if scale == 1:
            break
    axes = _axes(moved, height, width)
    far = (moved.abs() * torch.tensor([height, height, width, width])).max()
    if gain > BETTER or far < NEAREST or moved.abs().max() >= 0.99 * FARTHEST:
        return after, _axes(torch.zeros(4), height, width)
    return resample(after, *axes), axes


def covered(axes: tuple[Axis, Axis], height: int, width: int) -> Tensor:
    """1 where the moved edit has pixels of its own, 0 beyond its edges. [height, width]."""
    rows, columns = (
        (axis.centres() >= -0.5) & (axis.centres() <= length - 0.5)
        for axis, length in zip(axes, (height, width), strict=True)
    )
    return (rows[:, None] & columns).float()


def _axes(moved: Tensor, height: int, width: int) -> tuple[Axis, Axis]:
    """Where to read: `moved` says how far the top, bottom, left and right edges lie off, as shares of the sides."""
    top, bottom, left, right = moved.tolist()
    return (
        Axis(top * height, 1 + bottom - top, height),
        Axis(left * width, 1 + right - left, width),
    )


def _structure(picture: Tensor) -> Tensor:
    """What a change of light leaves: brightness less its mean around, over its deviation around. [h, w, 1]."""
    light = picture.mean(-1)
    fine = light - blurred(light, WINDOW)
    return (fine / (blurred(fine.square(), WINDOW).sqrt() + FLAT))[..., None]


def _fit(after: Tensor, before: Tensor, moved: Tensor) -> tuple[Tensor, float]:
    """The edges' shares that fit best, and the median difference with them over the one without any."""
    height, width = before.shape[:2]

    def difference(edges) -> Tensor:
        return (resample(after, *_axes(torch.as_tensor(edges), height, width)) - before).flatten()

    noise = difference(moved).abs().median().item() + 1e-6
    fit = least_squares(
        lambda edges: difference(edges).cpu().double().numpy(),
        moved.numpy(),
        loss="cauchy",
        f_scale=noise,
        bounds=(-FARTHEST, FARTHEST),
        x_scale=1 / min(height, width),
        ftol=1e-4,  # of the sum: single precision knows no more
        jac=lambda edges: _slopes(difference, edges, 0.05 / min(height, width)),
        max_nfev=10,
    )
    found = torch.from_numpy(fit.x)
    return found, (difference(found).abs().median() / (difference(torch.zeros(4)).abs().median() + 1e-12)).item()


def _slopes(difference, edges, step: float):
    """The derivative by each edge, central, over a step of a fraction of a pixel."""
    steps = torch.eye(4, dtype=torch.float64) * step
    edges = torch.as_tensor(edges)
    columns = [(difference(edges + each) - difference(edges - each)) / (2 * step) for each in steps]
    return torch.stack(columns, 1).cpu().double().numpy()
