"""What is composed: small models with a photo each, and the host's nodes with their widgets."""

import asyncio
import math

import comfy.samplers
import nodes as host_nodes
import torch

from ..conftest import in_inference_mode
from ..families import family, texts
from ..families.rows import FAMILIES

STEPS, CFG = 4, 3.0
EXACT = 1e-4  # RMS at eta 0, of the deviation of the photo's latent
EDITED = 0.05, 1.5  # the least and the most that the target changes, likewise
ANY = 1e-3, math.inf  # where the model alone draws nothing sensible either, as with random weights
PLAIN = {"sampler": "euler", "scheduler": "normal", "latent": None, "negative": None, "denoise": 1.0, "seed": 1}

# Node -> its widgets, where defaults will not do on a model and a run this small.
NODES = {
    "RescaleCFG": {"multiplier": 0.7},
    "Epsilon Scaling": {"scaling_factor": 1.02},
    "PerturbedAttentionGuidance": {"scale": 3.0},
    "SelfAttentionGuidance": {"scale": 0.5, "blur_sigma": 2.0},
    "SkipLayerGuidanceDiT": {
        "double_layers": "0",
        "single_layers": "0",
        "scale": 3.0,
        "start_percent": 0.0,
        "end_percent": 1.0,
        "rescaling_scale": 0.5,
    },
    "CFGZeroStar": {},
    "CFGNorm": {"strength": 1.0},
    "APG": {"eta": 0.5, "norm_threshold": 5.0, "momentum": -0.5},
    "TCFG": {},
    "Mahiro": {},
    "NAGuidance": {"nag_scale": 5.0, "nag_alpha": 0.5, "nag_tau": 1.5},
    "FreeU": {"b1": 1.1, "b2": 1.2, "s1": 0.9, "s2": 0.2},
    "FreeU_V2": {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2},
    "FreSca": {"scale_low": 1.0, "scale_high": 1.25, "freq_cutoff": 3},
    "HyperTile": {"tile_size": 16, "swap_size": 2, "max_depth": 1, "scale_depth": False},
    "TomePatchModel": {"ratio": 0.3},
    "EasyCache": {"reuse_threshold": 0.5, "start_percent": 0.0, "end_percent": 1.0, "verbose": False},
    "LazyCache": {"reuse_threshold": 0.5, "start_percent": 0.0, "end_percent": 1.0, "verbose": False},
}


# These reach into a UNet.
FOR_UNETS = {"SelfAttentionGuidance", "FreeU", "FreeU_V2", "HyperTile", "TomePatchModel"}

# That of March 2024 has none, and Keep Photo promises the plain samplers alone there.
HAS_WRAPPERS = hasattr(comfy.samplers, "CFGGuider")
if HAS_WRAPPERS and "KSamplerSelect" not in host_nodes.NODE_CLASS_MAPPINGS:
    asyncio.run(host_nodes.init_builtin_extra_nodes())
KNOWN = host_nodes.NODE_CLASS_MAPPINGS


def rows(names) -> list[str]:
    return [name for name in names if HAS_WRAPPERS and name in KNOWN]


def edited(conditioning: list, **extras) -> list:
    return [[tokens, {**rest, **extras}] for tokens, rest in conditioning]


# Guider -> its widgets, for a text and another one.
GUIDERS = {
    "CFGGuider": lambda text, other: {"positive": text, "negative": other, "cfg": CFG},
    "BasicGuider": lambda text, other: {"conditioning": text},
    "DualCFGGuider": lambda text, other: {
        "cond1": text,
        "cond2": other,
        "negative": other,
        "cfg_conds": CFG,
        "cfg_cond2_negative": 1.5,
        "style": "regular",
    },
    "PerpNegGuider": lambda text, other: {
        "positive": text,
        "negative": other,
        "empty_conditioning": other,
        "cfg": CFG,
        "neg_scale": 1.0,
    },
}


class Bench:
    """The demo model, a small photo, an embedding optimized for it, and a target."""

    side = 64  # of the photo, in pixels

    @in_inference_mode
    def __init__(self, studio):
        self.studio, self.model, self.negative = studio, studio.model, studio.negative
        small = torch.nn.functional.interpolate(
            studio.decode(studio.latent).movedim(-1, 1), size=(64, 64), mode="area"
        ).movedim(1, -1)
        self.latent = studio.encode(small)
        self.photo = self.latent["samples"]
        self.optimized = studio.optimize(latent=self.latent)["result"][0]
        self.target = studio.text("a red bird jumping in the desert at night")

    @in_inference_mode
    def keep(self, model=None, region: torch.Tensor | str | None = "lower"):
        """A MODEL that keeps the photo, by default in its upper quarter alone."""
        if region == "lower":
            region = torch.zeros(1, self.side, self.side)
            region[:, self.side // 4 :] = 1
        arguments = {"optimized": self.optimized, "target": self.target, "threshold": 0.0, "region": region}
        model = self.model if model is None else model
        return self.studio.nodes["ImagicKeepPhoto"]().keep(model, self.latent, **arguments)["result"][0]

    @in_inference_mode
    def node(self, name: str, **inputs):
        """The outputs of a node of the host of either kind."""
        node = KNOWN[name]
        done = node.execute(**inputs) if hasattr(node, "define_schema") else getattr(node(), node.FUNCTION)(**inputs)
        return getattr(done, "result", done)

    @in_inference_mode
    def sample(self, model, positive, **changes) -> torch.Tensor:
        wanted = PLAIN | changes
        latent = self.latent if wanted["latent"] is None else wanted["latent"]
        names = (wanted["sampler"], wanted["scheduler"])
        return host_nodes.common_ksampler(
            model,
            wanted["seed"],
            STEPS,
            CFG,
            *names,
            positive,
            wanted["negative"] or self.negative,
            latent,
            denoise=wanted["denoise"],
        )[0]["samples"]

    def noise(self):
        return self.node("RandomNoise", noise_seed=1)[0]

    def sampler(self, name: str = "euler"):
        return self.node("KSamplerSelect", sampler_name=name)[0]

    def levels(self, model) -> torch.Tensor:
        return self.node("BasicScheduler", model=model, scheduler="normal", steps=STEPS, denoise=1.0)[0]

    def custom(self, guider, model, sampler: str) -> torch.Tensor:
        return self.run(self.noise(), guider, sampler, self.levels(model), self.latent)["samples"]

    def run(self, noise, guider, sampler: str, sigmas: torch.Tensor, latent: dict) -> dict:
        about = {"noise": noise, "guider": guider, "sampler": self.sampler(sampler), "sigmas": sigmas}
        return self.node("SamplerCustomAdvanced", latent_image=latent, **about)[0]

    def away(self, samples: torch.Tensor) -> float:
        """The RMS distance from the photo, of its deviation."""
        return float((samples - self.photo).square().mean().sqrt() / self.photo.std())


class FlowBench(Bench):
    """A tiny rectified-flow transformer with random weights."""

    side = 128

    @in_inference_mode
    def __init__(self, studio, name: str):
        row = next(row for row in FAMILIES if row.name == name)
        self.studio, self.model = studio, family.build(row)
        self.latent = family.photo(row)
        self.photo = self.latent["samples"]
        self.optimized, self.target, self.negative = (texts.conditioning(row, seed) for seed in (1, 2, 3))
