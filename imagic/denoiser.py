"""The one abstraction of the pack: a diffusion model as a callable that predicts clean latents.

In the manner of k-diffusion's `external.py`: whatever a network was trained to predict (noise, velocity, a flow), a
`Denoiser` hides it behind `denoised = D(noisy; sigma, conditioning)`, so that the method is written once.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

# What a prompt becomes: name -> tensor [1, ...], e.g. "cross_attn" [1, tokens, width] and "pooled_output" [1, width].
# What a text encoder made of it is optimized (stage A) and interpolated (stage C), see `is_text`.
Conditioning = dict[str, Tensor]


def is_text(name: str, tensor: Tensor) -> bool:
    """Whether an entry holds what a text encoder made, rather than which tokens count; some masks are floats too."""
    return tensor.is_floating_point() and not name.endswith("mask")


class Denoiser(Protocol):
    """A differentiable diffusion model.

    Latents are [N, C, H, W] or [N, C, T, H, W] in the model's own scale, noise levels `sigma` are [N], fp32.
    """

    network: nn.Module
    """The network whose layers may be tuned. Its parameters are frozen on arrival."""

    dtype: torch.dtype
    """What the network computes in."""

    overwrites: bool
    """Whether the network adds in place inside its blocks, so that autograd must keep copies of what is overwritten."""

    flow: bool
    """Whether it is a rectified flow, noisy = (1 - sigma) * clean + sigma * noise, whose training levels differ."""

    def sigma(self, quantile: Tensor) -> Tensor:
        """Noise levels [N] at quantiles [N] in (0, 1) of the model's own schedule; 0 is clean, 1 is pure noise."""
        ...

    def add_noise(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """The noisy latent at level `sigma`; `noise` is standard normal."""
        ...

    def __call__(self, noisy: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """The clean latent [N, ...] expected behind `noisy`, differentiable in the conditioning and the weights."""
        ...

    def loss_weight(self, sigma: Tensor) -> Tensor:
        """Factors [N] that turn a squared error of the clean latent into the loss the model was trained with.

        A prediction `out` enters the clean latent linearly, denoised = a(sigma) * noisy + b(sigma) * out, hence
        |out - target|^2 = |denoised - clean|^2 / b(sigma)^2 for noise, velocity and flow alike.
        """
        ...


def stratified_quantiles(count: int, generator: torch.Generator) -> Tensor:
    """`count` quantiles in (0, 1), one uniform in each of `count` equal strata (uniform for count 1).

    Same expectation as independent uniform levels, far less variance: the loss differs by orders of magnitude between
    levels, and a step that sees only one of them mostly measures which one it drew.
    """
    # Rounding may reach either end, where a schedule can have no noise or no signal.
    return ((torch.arange(count) + torch.rand(count, generator=generator)) / count).clamp(1e-6, 1 - 1e-6)
