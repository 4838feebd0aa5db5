"""The pack's nodes and the host's, called as the host calls them: in inference mode."""

import functools
import importlib

import torch

PHOTO, TARGET = "a red cat sitting on the grass", "a blue cat sitting on the grass"


def in_inference_mode(method):
    @functools.wraps(method)
    def run(*args, **kwargs):
        with torch.inference_mode():
            return method(*args, **kwargs)

    return run


class Studio:
    """The demo model, a photo and short runs of each stage."""

    @in_inference_mode
    def __init__(self, pack):
        self.pack = pack
        self.nodes = pack.NODE_CLASS_MAPPINGS
        self.host = importlib.import_module("nodes")
        self.model, self.clip, self.vae = self.nodes["ImagicDemoCheckpoint"]().load()
        # Any picture does here: these tests ask how a stage runs, not how well it edits.
        ramp = torch.linspace(0, 1, 128)
        self.latent = self.encode(
            torch.stack(
                [ramp.expand(128, 128), ramp[:, None].expand(128, 128) ** 2, ramp.expand(128, 128).flip(0)], -1
            )[None]
        )
        self.target, self.negative = self.text(TARGET), self.text("")

    @in_inference_mode
    def encode(self, pixels: torch.Tensor) -> dict:
        return {"samples": self.vae.encode(pixels)}

    @in_inference_mode
    def decode(self, latent: dict) -> torch.Tensor:
        return self.vae.decode(latent["samples"])

    @in_inference_mode
    def text(self, text: str) -> list:
        return self.host.CLIPTextEncode().encode(self.clip, text)[0]

    @in_inference_mode
    def optimize(self, **changes) -> dict:
        """The whole answer of Optimize Embedding."""
        inputs = {"model": self.model, "latent": self.latent, "conditioning": self.target}
        inputs |= {"steps": 3, "learning_rate": 1e-2, "samples": 2, "seed": 0} | changes
        return self.nodes["ImagicOptimizeEmbedding"]().optimize(**inputs)

    @in_inference_mode
    def tune(self, **changes) -> dict:
        """The whole answer of Fine-Tune UNet."""
        inputs = {"model": self.model, "latent": self.latent, "conditioning": self.target, "tune": "LoRA", "rank": 4}
        inputs |= {
            "steps": 3,
            "learning_rate": 1e-3,
            "samples": 2,
            "gradient_checkpointing": False,
            "seed": 0,
        } | changes
        return self.nodes["ImagicFineTuneUNet"]().tune(**inputs)

    @in_inference_mode
    def interpolate(self, optimized: list, target: list, eta: float = 0.8, sweep: str = "") -> list:
        return self.nodes["ImagicInterpolateEmbedding"]().interpolate(optimized, target, eta, sweep)[0]

    @in_inference_mode
    def sample(self, model, conditioning: list, steps: int = 2, cfg: float = 3.0, seed: int = 0) -> dict:
        arguments = (model, seed, steps, cfg, "ddim", "normal", conditioning, self.negative, self.latent, 1.0)
        return self.host.KSampler().sample(*arguments)[0]

    @in_inference_mode
    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of what the base MODEL's network holds now."""
        return {name: tensor.clone() for name, tensor in self.model.model.state_dict().items()}

    def module(self, name: str):
        """A module of the pack as the host imported it, e.g. "imagic.training"."""
        return importlib.import_module(f"{self.pack.__name__}.{name}")
