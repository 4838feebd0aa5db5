"""Keep Photo beside whatever the host offers: at eta 0 the photo comes back, and at eta 1 the edit is there.

Where that cannot be, one sentence says so before the first step.
"""

import asyncio
import importlib
import itertools
import json

import comfy.samplers
import nodes as host_nodes
import pytest
import torch

from scripts import hosts

from .conftest import in_inference_mode

EXACT = 1e-4  # RMS at eta 0, of the deviation of the photo's latent
EDITED = 0.05, 1.5  # the least and the most that the target changes, likewise
STEPS, CFG = 4, 3.0
PLAIN = {"sampler": "euler", "scheduler": "normal", "latent": None, "denoise": 1.0}
FOUND: dict[str, float | None] = {}  # cell -> RMS at eta 0, None where refused

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
    "ModelSamplingDiscrete": {"sampling": "eps", "zsnr": False},
}


# That of March 2024 has none, and Keep Photo promises the plain samplers alone there.
HAS_WRAPPERS = hasattr(comfy.samplers, "CFGGuider")
if HAS_WRAPPERS and "KSamplerSelect" not in host_nodes.NODE_CLASS_MAPPINGS:
    asyncio.run(host_nodes.init_builtin_extra_nodes())
KNOWN = host_nodes.NODE_CLASS_MAPPINGS


class Bench:
    """A small photo, an embedding optimized for it, and a target."""

    @in_inference_mode
    def __init__(self, studio):
        self.studio = studio
        small = torch.nn.functional.interpolate(
            studio.decode(studio.latent).movedim(-1, 1), size=(64, 64), mode="area"
        ).movedim(1, -1)
        self.latent = studio.encode(small)
        self.photo = self.latent["samples"]
        self.optimized = studio.optimize(latent=self.latent)["result"][0]
        self.target = studio.text("a red bird jumping in the desert at night")

    @in_inference_mode
    def keep(self, model=None):
        mask = torch.zeros(1, 64, 64)
        mask[:, 16:] = 1
        arguments = {"optimized": self.optimized, "target": self.target, "threshold": 0.4, "region": mask}
        model = self.studio.model if model is None else model
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
            model, 1, STEPS, CFG, *names, positive, self.studio.negative, latent, denoise=wanted["denoise"]
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


@pytest.fixture(scope="module")
def bench(studio):
    return Bench(studio)


@pytest.fixture
def check(request, bench):
    """Draws a cell at eta 0 and at the target. `draw` takes a conditioning."""

    def run(draw, refusable: bool = False, edited: bool = True) -> None:
        cell = request.node.name
        try:
            at_zero = bench.away(draw(bench.optimized))
        except ValueError:
            FOUND[cell] = None
            if not refusable:
                raise
            return
        FOUND[cell] = at_zero
        assert at_zero <= EXACT
        if edited:
            assert EDITED[0] < bench.away(draw(bench.target)) < EDITED[1]

    return run


@pytest.fixture(scope="module", autouse=True)
def results(pytestconfig, comfyui):
    """Write down what was found, if asked to, when the last test is over."""
    yield
    if pytestconfig.getoption("--write-composition") and FOUND:
        path = hosts.ROOT / "tests" / "composition.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        exact = [rms for rms in FOUND.values() if rms is not None]
        known[comfyui.version] = {
            "cells": len(FOUND),
            "ok": sum(rms <= EXACT for rms in exact),
            "refused": len(FOUND) - len(exact),
            "worst_eta0": max(exact),
        }
        newest_first = sorted(known.items(), key=lambda item: hosts.version_key(item[0]), reverse=True)
        path.write_text(json.dumps(dict(newest_first), indent=1) + "\n", encoding="utf-8")


SCHEDULERS = [name for name in ("normal", "karras", "simple", "beta") if name in comfy.samplers.KSampler.SCHEDULERS]
SAMPLERS = comfy.samplers.KSampler.SAMPLERS if HAS_WRAPPERS else ["euler", "ddim", "heun", "dpm_2", "dpmpp_2m"]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers(bench, check, sampler, scheduler):
    model = bench.keep()
    check(lambda text: bench.sample(model, text, sampler=sampler, scheduler=scheduler), edited=scheduler == "normal")


def test_a_sampler_that_adds_noise_of_its_own_is_refused_before_the_first_step(bench, monkeypatch):
    """As other packs' may, which take no noise from outside."""

    def churning(model, x, sigmas, extra_args=None, callback=None, disable=None):
        for sigma, following in itertools.pairwise(sigmas):
            clean = model(x, sigma.expand(len(x)), **extra_args)
            x = clean + following * torch.randn_like(x)
        return x

    monkeypatch.setattr(comfy.k_diffusion.sampling, "sample_euler", churning)
    if HAS_WRAPPERS:
        calls, before = [], bench.studio.model.model.apply_model
        monkeypatch.setattr(bench.studio.model.model, "apply_model", lambda *a, **k: calls.append(a) or before(*a, **k))
    with pytest.raises(ValueError, match="adds noise of its own"):
        bench.sample(bench.keep(), bench.optimized)
    if HAS_WRAPPERS:
        assert not calls


def rows(names) -> list[str]:
    return [name for name in names if HAS_WRAPPERS and name in KNOWN]


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("name", rows(NODES))
def test_nodes(bench, check, name, place):
    def add(model):
        return bench.node(name, model=model, **NODES[name])[0]

    model = bench.keep(add(bench.studio.model)) if place == "before" else add(bench.keep())
    check(lambda text: bench.sample(model, text))


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


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde"])
@pytest.mark.parametrize("name", rows(GUIDERS))
def test_guiders(bench, check, name, sampler):
    model = bench.keep()

    def draw(text):
        guider = bench.node(name, model=model, **GUIDERS[name](text, bench.studio.negative))[0]
        return bench.custom(guider, model, sampler)

    check(draw)


@pytest.mark.parametrize("place", range(1, STEPS))
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral"] if HAS_WRAPPERS else [])
def test_two_samplers_in_turn(bench, check, sampler, place):
    """KSampler (Advanced) for the first steps, and again for the others."""
    model = bench.keep()

    @torch.inference_mode()
    def part(text, latent, start, end):
        noise, rest = ("enable", "enable") if start == 0 else ("disable", "disable")
        arguments = (noise, 1, STEPS, CFG, sampler, "normal", text, bench.studio.negative, latent, start, end, rest)
        return host_nodes.KSamplerAdvanced().sample(model, *arguments)[0]

    check(lambda text: part(text, part(text, bench.latent, 0, place), place, STEPS)["samples"])


@pytest.mark.parametrize("place", range(1, STEPS))
@pytest.mark.parametrize("name", rows(["SamplerCustomAdvanced"]))
def test_two_custom_samplers_in_turn(bench, check, name, place):
    model = bench.keep()

    def draw(text):
        guider = bench.node("CFGGuider", model=model, **GUIDERS["CFGGuider"](text, bench.studio.negative))[0]
        high, low = bench.node("SplitSigmas", sigmas=bench.levels(model), step=place)
        half = bench.run(bench.noise(), guider, "euler", high, bench.latent)
        return bench.run(bench.node("DisableNoise")[0], guider, "euler", low, half)["samples"]

    check(draw)


def edited(conditioning: list, **extras) -> list:
    return [[tokens, {**rest, **extras}] for tokens, rest in conditioning]


ENTRIES = {
    "area": lambda text: edited(text, area=(4, 8, 4, 0)) + text,
    "mask": lambda text: edited(text, mask=torch.ones(1, 64, 64).tril(), mask_strength=0.8) + text,
    "timesteps": lambda text: edited(text, start_percent=0.0, end_percent=0.5) + edited(text, start_percent=0.5),
    "strength": lambda text: edited(text, strength=0.7) + text,
}


@pytest.mark.parametrize("name", ENTRIES if HAS_WRAPPERS else [])
def test_entries(bench, check, name):
    model = bench.keep()
    check(lambda text: bench.sample(model, ENTRIES[name](text)))


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"] if HAS_WRAPPERS else [])
def test_controlnet(bench, check, sampler):
    """One whose output depends on what it is shown, as a real one's does."""
    model, control = bench.keep(), control_net()
    hint = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    about = {"control": control.set_cond_hint(hint, 0.5, (0.0, 1.0)), "control_apply_to_uncond": True}
    check(lambda text: bench.sample(model, edited(text, **about), sampler=sampler))


def control_net():
    """A ControlNet of the demo model's size with random weights."""
    controlnet = importlib.import_module("comfy.controlnet")

    class Wavy(controlnet.ControlBase):
        def get_control(self, noisy, sigma, cond, batched_number, *rest):
            wave = torch.sin(3 * noisy).mean(1, keepdim=True)
            return {"middle": [0.2 * wave[..., ::4, ::4]], "input": [], "output": []}

        def copy(self):
            other = Wavy()
            self.copy_to(other)
            return other

        def get_models(self):
            return []

    return Wavy()


@pytest.mark.parametrize("denoise", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"] if HAS_WRAPPERS else ["euler"])
def test_a_part_of_the_schedule(bench, check, sampler, denoise):
    model = bench.keep()
    check(lambda text: bench.sample(model, text, sampler=sampler, denoise=denoise), edited=denoise > 0.5)


def test_a_batch(bench, check):
    model, batch = bench.keep(), {"samples": bench.photo.repeat(3, 1, 1, 1)}
    check(lambda text: bench.sample(model, text, latent=batch))


MASKS = {"half": torch.ones(1, 64, 64).tril(), "soft": torch.linspace(0, 1, 64).expand(1, 64, 64)}


@pytest.mark.parametrize("differential", [False, True])
@pytest.mark.parametrize("sampler", ["euler", "ddim", "euler_ancestral"])
@pytest.mark.parametrize("mask", MASKS if HAS_WRAPPERS else [])
def test_a_latent_with_a_mask(bench, check, sampler, mask, differential):
    model, latent = bench.keep(), {**bench.latent, "noise_mask": MASKS[mask]}
    if differential:
        model = bench.node("DifferentialDiffusion", model=model)[0]
    check(lambda text: bench.sample(model, text, sampler=sampler, latent=latent))


def test_an_empty_latent_stands_for_the_photo(bench, check):
    model, empty = bench.keep(), {"samples": torch.zeros_like(bench.photo)}
    check(lambda text: bench.sample(model, text, latent=empty))


def test_a_second_pass_over_the_result(bench, check):
    model = bench.keep()

    def draw(text):
        first = bench.sample(model, text)
        return bench.sample(model, text, latent={"samples": first}, denoise=0.5)

    check(draw)


OTHERS = {
    "upscaled": lambda photo: torch.nn.functional.interpolate(photo, scale_factor=1.5),
    "another picture": lambda photo: photo.flip(-1) + photo.flip(-2),
}


@pytest.mark.parametrize("name", OTHERS if HAS_WRAPPERS else ["upscaled"])
def test_a_latent_of_another_picture(bench, check, name):
    model = bench.keep()
    check(lambda text: bench.sample(model, text, latent={"samples": OTHERS[name](bench.photo)}), refusable=True)
