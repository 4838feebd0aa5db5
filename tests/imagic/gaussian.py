"""A world with known answers: clean latents are Gaussian around a mean that is linear in the conditioning."""

import torch
from torch import Tensor, nn

from imagic import Conditioning

SHAPE = (1, 2, 2, 4)  # of a latent; as many numbers as two tokens of width 8 have
TOKENS, WIDTH = 2, 8


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.attn, self.mlp = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.attn(x))


class Mean(nn.Module):
    """tokens [N, 2, 8] and a pooled embedding [N, 4] -> the mean latent, by orthogonal maps in a DiT's layout."""

    def __init__(self, seed: int = 0):
        super().__init__()
        self.blocks = nn.ModuleList(Block(WIDTH) for _ in range(2))
        self.final = nn.Linear(TOKENS * WIDTH, TOKENS * WIDTH)
        self.pool = nn.Linear(4, TOKENS * WIDTH)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.requires_grad_(False).parameters():
            parameter.normal_(std=0.1, generator=generator)
            if parameter.ndim == 2:
                nn.init.orthogonal_(parameter, generator=generator)

    def forward(self, tokens: Tensor, pooled: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens)
        return (self.final(tokens.flatten(1)) + self.pool(pooled)).view(-1, *SHAPE[1:])


class Gaussian:
    """The best possible denoiser of clean ~ N(mean(conditioning), spread^2), for three kinds of prediction.

    noisy = signal * clean + sigma * noise; the network's output is what it expects `target` to be, given `noisy`.
    """

    overwrites, dtype = False, torch.float32

    def __init__(
        self, prediction: str = "epsilon", spread: float = 0.5, network: nn.Module | None = None, shift: float = 1
    ):
        self.prediction, self.spread = prediction, spread
        self.flow, self.shift = prediction == "flow", shift
        self.network = network or Mean()

    def sigma(self, quantile: Tensor) -> Tensor:
        if self.flow:
            return self.shift * quantile / (1 + (self.shift - 1) * quantile)
        return 0.03 * 500**quantile

    def signal(self, sigma: Tensor) -> Tensor:
        return 1 - sigma if self.prediction == "flow" else torch.ones_like(sigma)

    def add_noise(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return spread_out(self.signal(sigma)) * latent + spread_out(sigma) * noise

    def target(self, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """What such a model is trained to predict."""
        sigma = spread_out(sigma)
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "v":
            return (noise - sigma * clean) / (1 + sigma**2).sqrt()
        return noise - clean

    def predict(self, noisy: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        tokens = conditioning["cross_attn"].expand(len(noisy), -1, -1)
        pooled = conditioning.get("pooled_output", torch.zeros(1, 4)).expand(len(noisy), -1)
        mean = self.network(tokens.to(self.network.final.weight.dtype), pooled.to(self.network.pool.weight.dtype))
        signal, level = spread_out(self.signal(sigma)), spread_out(sigma)
        gain = self.spread**2 * signal / (self.spread**2 * signal**2 + level**2)
        clean = mean.float() + gain * (noisy - signal * mean.float())
        return self.target(clean, (noisy - signal * clean) / level, sigma)

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """a, b with clean = a * noisy + b * target."""
        if self.prediction == "v":
            return 1 / (1 + sigma**2), -sigma / (1 + sigma**2).sqrt()
        return torch.ones_like(sigma), -sigma

    def __call__(self, noisy: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        a, b = self.coefficients(sigma)
        return spread_out(a) * noisy + spread_out(b) * self.predict(noisy, sigma, conditioning)

    def loss_weight(self, sigma: Tensor) -> Tensor:
        return self.coefficients(sigma)[1] ** -2


def spread_out(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def prompt(seed: int = 0) -> Conditioning:
    return {"cross_attn": torch.randn(1, TOKENS, WIDTH, generator=torch.Generator().manual_seed(seed))}


def photo(seed: int = 100) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def mean_of(network: nn.Module, conditioning: Conditioning) -> Tensor:
    return network(conditioning["cross_attn"], conditioning.get("pooled_output", torch.zeros(1, 4)))


def fingerprint(network: nn.Module) -> dict[str, tuple[int, bytes]]:
    """Identity and bytes of every parameter."""
    return {name: (id(weight), weight.detach().numpy().tobytes()) for name, weight in network.named_parameters()}


def merged(weights: dict[str, Tensor], update: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with an update in LoRA layout added, as a LoRA loader does it."""
    result = dict(weights)
    for key, up in update.items():
        if key.endswith(".diff"):
            result[key.replace(".diff", ".weight")] = weights[key.replace(".diff", ".weight")] + up
        elif key.endswith(".diff_b"):
            result[key.replace(".diff_b", ".bias")] = weights[key.replace(".diff_b", ".bias")] + up
        elif key.endswith(".lora_up.weight"):
            layer = key.removesuffix(".lora_up.weight")
            down, weight = update[f"{layer}.lora_down.weight"], weights[f"{layer}.weight"]
            strength = float(update[f"{layer}.alpha"]) / len(down)
            result[f"{layer}.weight"] = weight + strength * (up.flatten(1) @ down.flatten(1)).view_as(weight)
    return result
