"""Imagic (Kawar et al., CVPR 2023, arXiv 2210.09276): edit a real photo by one sentence.

The method in three functions over a `Denoiser`, any differentiable model that predicts clean latents:

    optimized, _ = optimize_embedding(denoiser, latent, target)           # stage A, Sec. 3.2
    tuned, _     = fine_tune(denoiser, latent, optimized)                 # stage B
    conditioning = interpolate(optimized, target, eta=0.8)                # stage C, Eq. 3

Nothing in this package knows of ComfyUI; `imagic.diffusers` is the only part that imports diffusers.
"""

from typing import TYPE_CHECKING

from .lazy import attributes

if TYPE_CHECKING:
    from .denoiser import Conditioning, Denoiser
    from .embedding import optimize_embedding
    from .finetuning import TUNE_MODES, fine_tune
    from .interpolation import interpolate
    from .scoring import Ranking, rank
    from .training import History, NonFiniteLoss, Step

__version__ = "0.1.0"  # as in pyproject.toml, which ComfyUI's registry reads

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

# Each is imported when it is first asked for: PyTorch takes seconds, and the command's help needs none of it.
__getattr__ = attributes(
    __name__,
    {
        "TUNE_MODES": "finetuning",
        "Conditioning": "denoiser",
        "Denoiser": "denoiser",
        "History": "training",
        "NonFiniteLoss": "training",
        "Ranking": "scoring",
        "Step": "training",
        "fine_tune": "finetuning",
        "interpolate": "interpolation",
        "optimize_embedding": "embedding",
        "rank": "scoring",
    },
)
