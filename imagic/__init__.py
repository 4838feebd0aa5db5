"""Imagic (Kawar et al., CVPR 2023, arXiv 2210.09276): edit a real photo by one sentence.

The method in three functions over a `Denoiser`, any differentiable model that predicts clean latents:

    optimized, _ = optimize_embedding(denoiser, latent, target)           # stage A, Sec. 3.2
    tuned, _     = fine_tune(denoiser, latent, optimized)                 # stage B
    conditioning = interpolate(optimized, target, eta=0.8)                # stage C, Eq. 3

Nothing in this package knows of ComfyUI; `imagic.diffusers` is the only part that imports diffusers.
"""

from .denoiser import Conditioning, Denoiser
from .embedding import optimize_embedding
from .finetuning import TUNE_MODES, fine_tune
from .interpolation import interpolate
from .scoring import Ranking, rank
from .training import History, NonFiniteLoss, Step

__all__ = [
    "TUNE_MODES",
    "Conditioning",
    "Denoiser",
    "History",
    "NonFiniteLoss",
    "Ranking",
    "Step",
    "fine_tune",
    "interpolate",
    "optimize_embedding",
    "rank",
]
