"""The validation loss: what runs are compared by."""

import torch
from torch import Tensor

from .denoiser import Conditioning, Denoiser
from .levels import standard_levels
from .objective import denoising_losses

FOLLOW_EVERY = 50  # forward-equivalents of training to one of following the validation loss: two percent
STRIDE = 3  # from one pair to the next that is looked at: soon all parts of the schedule have been


class Validation:
    """A fixed set of (noise, level) pairs, the levels at the midpoints of equal strata.

    Four of them: on the demo model they had a gain's sign right in 60 of 60 runs, as eight had at twice the cost.

    A training loss jumps with the levels drawn; this one moves only when the model or the embedding does, so it can be
    compared between steps, settings and runs.
    """

    def __init__(self, denoiser: Denoiser, latent: Tensor, pairs: int = 4, seed: int = 0x1A61C):
        generator = torch.Generator().manual_seed(seed)
        self.latent, self.pairs = latent, pairs
        self.noise = torch.randn((pairs, *latent.shape[1:]), generator=generator).to(latent.device)
        self.sigma = standard_levels(denoiser, (torch.arange(pairs) + 0.5) / pairs).to(latent.device)
        self.evaluations = 0  # of the network, forward only
        self._before = None  # loss of each pair at the start, [pairs]
        self._now: dict[int, float] = {}  # and of those looked at since
        self._looks = 0

    @torch.no_grad()
    def loss(self, denoiser: Denoiser, conditioning: Conditioning) -> float:
        """Mean loss over the set."""
        losses = self._losses(denoiser, conditioning, slice(None))
        if self._before is None:
            self._before = losses
        return float(losses.mean())

    @torch.no_grad()
    def follow(self, denoiser: Denoiser, conditioning: Conditioning, trained: int) -> float:
        """What the mean has come to so far, estimated during a run at two percent of its cost.

        One pair at a time is looked at again; the others are taken to have changed as those did.

        Args:
            trained: forward-equivalents that the run has spent by now, which say whether another look is due.
        """
        if trained // FOLLOW_EVERY > self._looks:
            place = self._looks * STRIDE % self.pairs
            self._now[place] = float(self._losses(denoiser, conditioning, slice(place, place + 1)))
            self._looks += 1
        before = sum(float(self._before[place]) for place in self._now)
        return float(self._before.mean()) * (sum(self._now.values()) / before if self._now else 1.0)

    def _losses(self, denoiser: Denoiser, conditioning: Conditioning, chosen: slice) -> Tensor:
        noise, sigma = self.noise[chosen], self.sigma[chosen]
        self.evaluations += len(sigma)
        return torch.cat([part for part, _ in denoising_losses(denoiser, self.latent, conditioning, noise, sigma)])
