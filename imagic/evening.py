"""An editor's picture in the photo's light: editors lighten, darken or tint the whole frame by a few percent."""

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor

SAMPLES = 2**14  # pixels that the light is read from
ROUNDS = 3  # of the fit, each with the noise that the one before has left
MOST = 0.06  # of 0..1, at black or white: more is an edit
LEAST = 0.5 / 255  # less than this is rounding


def evened(after: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The edit in the light of the picture before it, and that picture without what the edit's light cannot show.

    A straight line for each channel is fitted by robust least squares (Cauchy's loss), which what the edit itself
    changes hardly moves. Where it leads far from the edit as it is, the light is what was edited, and both stay.

    Args:
        after, before: [h, w, 3], 0..1.
    """
    every = after[..., 0].numel() // SAMPLES + 1
    samples = (picture.flatten(0, 1)[::every].double().cpu().numpy().T for picture in (after, before))
    lines = [_line(*channel) for channel in zip(*samples, strict=True)]
    black, white = torch.tensor(np.array(lines)).to(before).T
    farthest = torch.cat([black, white - 1]).abs().max()
    if not LEAST < farthest < MOST:
        return after, before
    return torch.lerp(black, white, after).clamp(0, 1), before.clamp(black, white)


def _line(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where black and white lie on the line from one picture's values [N] to the other's."""

    def difference(ends: np.ndarray) -> np.ndarray:
        return ends[0] + (ends[1] - ends[0]) * after - before

    ends = np.array([0.0, 1.0])
    for _ in range(ROUNDS):
        noise = max(LEAST, float(np.median(np.abs(difference(ends)))))
        ends = least_squares(difference, ends, loss="cauchy", f_scale=noise).x
    return ends
