"""Keep Photo beside whatever the host offers: at eta 0 the photo comes back, and at eta 1 the edit is there.

Where that cannot be, one sentence says so before the first step.
"""

import functools
import importlib
import itertools
import json
import math

import comfy.samplers
import nodes as host_nodes
import pytest
import torch

from scripts import hosts

from .composition import CFG, FOR_UNETS, HAS_WRAPPERS, KNOWN, NODES, STEPS, Bench, FlowBench

EXACT = 1e-4  # RMS at eta 0, of the deviation of the photo's latent
EDITED = 0.05, 1.5  # the least and the most that the target changes, likewise
ANY = 1e-3, math.inf  # where the model alone draws nothing sensible either, as with random weights
FOUND: dict[str, float | None] = {}  # cell -> RMS at eta 0, None where refused


@pytest.fixture(scope="module")
def bench(studio):
    return Bench(studio)


@pytest.fixture(scope="module")
def flow(studio):
    """The benches of rectified flow, by family."""
    return functools.cache(lambda name: FlowBench(studio, name))


@pytest.fixture
def check(request):
    """Draws a cell at eta 0 and at the target. `draw` takes a conditioning."""

    def run(bench, draw, change: tuple | None = EDITED) -> None:
        FOUND[request.node.name] = at_zero = bench.away(draw(bench.optimized))
        assert at_zero <= EXACT
        if change:
            assert change[0] < bench.away(draw(bench.target)) < change[1]

    return run


@pytest.fixture
def check_refused(request):
    """Draws a cell that a sentence refuses."""

    def run(draw, sentence: str) -> None:
        FOUND[request.node.name] = None
        with pytest.raises(ValueError, match=sentence):
            draw()

    return run


@pytest.fixture(scope="module", autouse=True)
def results(request, pytestconfig, comfyui):
    """Write down what was found, if asked to, when the last test is over and none has failed."""
    yield
    if pytestconfig.getoption("--write-composition") and not request.session.testsfailed:
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
    check(
        bench,
        lambda text: bench.sample(model, text, sampler=sampler, scheduler=scheduler),
        change=EDITED if scheduler == "normal" else None,
    )


def test_a_sampler_that_adds_noise_of_its_own_is_refused_before_the_first_step(bench, monkeypatch):
    """As other packs' may, which take no noise from outside."""

    def churning(model, x, sigmas, extra_args=None, callback=None, disable=None):
        for sigma, following in itertools.pairwise(sigmas):
            clean = model(x, sigma.expand(len(x)), **extra_args)
            x = clean + following * torch.randn_like(x)
        return x

    monkeypatch.setattr(comfy.k_diffusion.sampling, "sample_euler", churning)
    if HAS_WRAPPERS:
        calls, before = [], bench.model.model.apply_model
        monkeypatch.setattr(bench.model.model, "apply_model", lambda *a, **k: calls.append(a) or before(*a, **k))
    with pytest.raises(ValueError, match="adds noise of its own"):
        bench.sample(bench.keep(), bench.optimized)
    if HAS_WRAPPERS:
        part = (1, STEPS, CFG, "euler", "normal", bench.optimized, bench.negative, bench.latent, 0, 1, "enable")
        with torch.inference_mode(), pytest.raises(ValueError, match="adds noise of its own"):
            host_nodes.KSamplerAdvanced().sample(bench.keep(), "enable", *part)
        assert not calls


def rows(names) -> list[str]:
    return [name for name in names if HAS_WRAPPERS and name in KNOWN]


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("name", rows(NODES))
def test_nodes(bench, check, name, place):
    def add(model):
        return bench.node(name, model=model, **NODES[name])[0]

    model = bench.keep(add(bench.model)) if place == "before" else add(bench.keep())
    check(bench, lambda text: bench.sample(model, text))


@pytest.mark.parametrize("name", ["SD 3", "Flux.1 dev"] if HAS_WRAPPERS else [])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_of_flow(flow, check, name, sampler):
    bench = flow(name)
    model = bench.keep()
    check(bench, lambda text: bench.sample(model, text, sampler=sampler, scheduler="simple"), change=ANY)


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("family", ["SD 3", "Flux.1 dev"])
@pytest.mark.parametrize("name", rows(name for name in NODES if name not in FOR_UNETS))
def test_nodes_of_flow(flow, check, name, family, place):
    bench = flow(family)

    def add(model):
        return bench.node(name, model=model, **NODES[name])[0]

    model = bench.keep(add(bench.model)) if place == "before" else add(bench.keep())
    check(bench, lambda text: bench.sample(model, text), change=ANY)


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
        guider = bench.node(name, model=model, **GUIDERS[name](text, bench.negative))[0]
        return bench.custom(guider, model, sampler)

    check(bench, draw)


@pytest.mark.parametrize("place", range(1, STEPS))
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral"] if HAS_WRAPPERS else [])
def test_two_samplers_in_turn(bench, check, sampler, place):
    """KSampler (Advanced) for the first steps, and again for the others."""
    model = bench.keep()

    @torch.inference_mode()
    def part(text, latent, start, end):
        noise, rest = ("enable", "enable") if start == 0 else ("disable", "disable")
        arguments = (noise, 1, STEPS, CFG, sampler, "normal", text, bench.negative, latent, start, end, rest)
        return host_nodes.KSamplerAdvanced().sample(model, *arguments)[0]

    check(bench, lambda text: part(text, part(text, bench.latent, 0, place), place, STEPS)["samples"])


@pytest.mark.parametrize("place", range(1, STEPS))
@pytest.mark.parametrize("name", rows(["SamplerCustomAdvanced"]))
def test_two_custom_samplers_in_turn(bench, check, name, place):
    model = bench.keep()

    def draw(text):
        guider = bench.node("CFGGuider", model=model, **GUIDERS["CFGGuider"](text, bench.negative))[0]
        high, low = bench.node("SplitSigmas", sigmas=bench.levels(model), step=place)
        half = bench.run(bench.noise(), guider, "euler", high, bench.latent)
        return bench.run(bench.node("DisableNoise")[0], guider, "euler", low, half)["samples"]

    check(bench, draw)


@pytest.mark.parametrize("first", ["base", "other"] if HAS_WRAPPERS else [])
def test_a_latent_that_another_model_left_noise_in(bench, check_refused, first):
    """Nothing says how much of it is noise and how much an edit."""
    model = bench.keep()
    levels = "enable", 1, STEPS, CFG, "euler", "normal", bench.target, bench.negative, bench.latent
    with torch.inference_mode():
        other = bench.model if first == "base" else bench.keep()
        half = host_nodes.KSamplerAdvanced().sample(other, *levels, 0, 2, "enable")[0]
        rest = ("disable", *levels[1:-1], half, 2, STEPS, "disable")
        check_refused(lambda: host_nodes.KSamplerAdvanced().sample(model, *rest), "did not see the sampler")


def edited(conditioning: list, **extras) -> list:
    return [[tokens, {**rest, **extras}] for tokens, rest in conditioning]


ENTRIES = {
    "area": lambda text: edited(text, area=(4, 8, 4, 0)) + text,
    "mask": lambda text: edited(text, mask=torch.ones(1, 64, 64).tril(), mask_strength=0.8) + text,
    "timesteps": lambda text: edited(text, start_percent=0.0, end_percent=0.5) + edited(text, start_percent=0.5),
    "strength": lambda text: edited(text, strength=0.7) + text,
}
NEGATIVES = {
    "area": lambda text: edited(text, area=(4, 8, 4, 0)),
    "area and all": lambda text: edited(text, area=(4, 8, 4, 0)) + text,
}


@pytest.mark.parametrize("name", NEGATIVES if HAS_WRAPPERS else [])
def test_negative_entries(bench, check, name):
    model, negative = bench.keep(), NEGATIVES[name](bench.negative)
    check(bench, lambda text: bench.sample(model, text, negative=negative), change=ANY)


@pytest.mark.parametrize("name", ENTRIES if HAS_WRAPPERS else [])
def test_entries(bench, check, name):
    model = bench.keep()
    check(bench, lambda text: bench.sample(model, ENTRIES[name](text)))


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"] if HAS_WRAPPERS else [])
def test_controlnet(bench, check, sampler):
    """One whose output depends on what it is shown, as a real one's does."""
    model, control = bench.keep(), control_net()
    hint = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    about = {"control": control.set_cond_hint(hint, 0.5, (0.0, 1.0)), "control_apply_to_uncond": True}
    check(bench, lambda text: bench.sample(model, edited(text, **about), sampler=sampler))


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
    check(
        bench,
        lambda text: bench.sample(model, text, sampler=sampler, denoise=denoise),
        change=EDITED if denoise > 0.5 else None,
    )


def test_a_batch(bench, check):
    model, batch = bench.keep(), {"samples": bench.photo.repeat(3, 1, 1, 1)}
    check(bench, lambda text: bench.sample(model, text, latent=batch))


MASKS = {"half": torch.ones(1, 64, 64).tril(), "soft": torch.linspace(0, 1, 64).expand(1, 64, 64)}


@pytest.mark.parametrize("differential", [False, True])
@pytest.mark.parametrize("sampler", ["euler", "ddim", "euler_ancestral"])
@pytest.mark.parametrize("mask", MASKS if HAS_WRAPPERS else [])
def test_a_latent_with_a_mask(bench, check, sampler, mask, differential):
    model, latent = bench.keep(), {**bench.latent, "noise_mask": MASKS[mask]}
    if differential:
        model = bench.node("DifferentialDiffusion", model=model)[0]
    check(bench, lambda text: bench.sample(model, text, sampler=sampler, latent=latent))


@pytest.mark.parametrize("sampler", ["euler", "ddim"] if HAS_WRAPPERS else [])
def test_each_of_a_batch_has_its_own_mask(bench, sampler):
    model = bench.keep(region=torch.ones(1, 64, 64))
    upper = torch.zeros(1, 64, 64)
    upper[:, :32] = 1
    latent = {"samples": bench.photo.repeat(2, 1, 1, 1), "noise_mask": torch.cat([upper, 1 - upper])}
    change = (bench.sample(model, bench.target, sampler=sampler, latent=latent) - bench.photo).abs().mean((1, 3))
    for picture, there in enumerate((slice(None, 4), slice(4, None))):
        assert change[picture, there].mean() > 0.1
        assert change[picture].sum() == pytest.approx(float(change[picture, there].sum()), rel=1e-4)


@pytest.mark.parametrize("name", rows(["SamplerCustomAdvanced"]))
def test_the_levels_of_a_cached_node_stay_as_they_are(bench, name):
    """uni_pc writes into them."""
    model = bench.keep()
    guider = bench.node("CFGGuider", model=model, **GUIDERS["CFGGuider"](bench.optimized, bench.negative))[0]
    levels = bench.levels(model)
    for _ in range(2):
        done = bench.run(bench.noise(), guider, "uni_pc", levels, bench.latent)["samples"]
        assert bench.away(done) <= EXACT
    assert torch.equal(levels, bench.levels(model))


@pytest.mark.parametrize("row", [0, 2] if HAS_WRAPPERS else [])
def test_one_of_an_unfinished_batch_goes_on(bench, row):
    model, batch = bench.keep(), {"samples": bench.photo.repeat(3, 1, 1, 1)}

    @torch.inference_mode()
    def part(first, latent, start, end):
        arguments = (
            first,
            1,
            STEPS,
            CFG,
            "euler",
            "normal",
            bench.target,
            bench.negative,
            latent,
            start,
            end,
            "enable",
        )
        return host_nodes.KSamplerAdvanced().sample(model, *arguments)[0]

    half = part("enable", batch, 0, 2)
    whole = part("disable", half, 2, STEPS)["samples"][row : row + 1]
    alone = part("disable", {"samples": half["samples"][row : row + 1].clone()}, 2, STEPS)["samples"]
    torch.testing.assert_close(alone, whole, rtol=1e-3, atol=1e-3)


def test_the_largest_seed(bench):
    bench.sample(bench.keep(), bench.optimized, sampler="euler_ancestral" if HAS_WRAPPERS else "euler", seed=2**64 - 2)


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m", "euler_ancestral"] if HAS_WRAPPERS else [])
def test_the_photo_itself_is_where_the_sampler_ends(bench, monkeypatch, sampler):
    """So the result is not made exact by what is put right at the end."""
    keeper = bench.studio.module("nodes.host.keeping").PhotoKeeper
    before, short = keeper.left_over, []
    monkeypatch.setattr(keeper, "left_over", lambda self, photo: short.append(before(self, photo)) or short[-1])
    bench.sample(bench.keep(), bench.target, sampler=sampler)
    assert short[0].square().mean().sqrt() < EXACT * bench.photo.std()


def test_an_empty_latent_stands_for_the_photo(bench, check):
    model, empty = bench.keep(), {"samples": torch.zeros_like(bench.photo)}
    check(bench, lambda text: bench.sample(model, text, latent=empty))


def test_a_second_pass_over_the_result(bench, check):
    model = bench.keep()

    def draw(text):
        first = bench.sample(model, text)
        return bench.sample(model, text, latent={"samples": first}, denoise=0.5)

    check(bench, draw)


OTHERS = {
    "upscaled": lambda photo: torch.nn.functional.interpolate(photo, scale_factor=1.5),
    "another": lambda photo: -photo,
    "one of three": lambda photo: torch.cat([photo, -photo, photo]),
}


@pytest.mark.parametrize("threshold", ["region", 0.0])
@pytest.mark.parametrize("name", OTHERS if HAS_WRAPPERS else ["upscaled"])
def test_a_latent_of_another_picture(bench, check_refused, name, threshold):
    model = bench.keep() if threshold == "region" else bench.keep(region=None)
    latent = {"samples": OTHERS[name](bench.photo)}
    check_refused(lambda: bench.sample(model, bench.optimized, latent=latent), "photo's own latent")
