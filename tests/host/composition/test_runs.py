"""Keep Photo beside whatever the host offers: at eta 0 the photo comes back, and at eta 1 the edit is there.

Where that cannot be, one sentence says so before the first step.
"""

import importlib
import itertools

import comfy.samplers
import nodes as host_nodes
import pytest
import torch

from .bench import ANY, CFG, EDITED, EXACT, FOR_UNETS, GUIDERS, HAS_WRAPPERS, NODES, STEPS, edited, rows

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


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde"])
@pytest.mark.parametrize("name", rows(GUIDERS))
def test_guiders(bench, check, name, sampler):
    model = bench.keep()

    def draw(text):
        guider = bench.node(name, model=model, **GUIDERS[name](text, bench.negative))[0]
        return bench.custom(guider, model, sampler)

    check(bench, draw)


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
