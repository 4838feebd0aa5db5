"""Keep Photo on every latent that a sampler may begin with: a part of a run, a mask, a batch, a second pass."""

import comfy.model_management
import nodes as host_nodes
import pytest
import torch

from .bench import CFG, EDITED, GUIDERS, HAS_WRAPPERS, STEPS, rows


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


@pytest.mark.parametrize("host_rounds", [False, True])
@pytest.mark.parametrize("place", [0, 7, -1] if HAS_WRAPPERS else [])
def test_an_unfinished_latent_that_was_changed_anywhere_is_another(bench, monkeypatch, place, host_rounds):
    """Even where the host hands latents on in 16 bits."""
    if host_rounds:
        monkeypatch.setattr(comfy.model_management, "intermediate_dtype", lambda: torch.float16, raising=False)
    model = bench.keep()

    @torch.inference_mode()
    def part(first, latent, start, end):
        around = (bench.target, bench.negative, {"samples": latent}, start, end, "enable")
        return host_nodes.KSamplerAdvanced().sample(model, first, 1, STEPS, CFG, "euler", "normal", *around)[0]

    half = part("enable", bench.photo, 0, 2)["samples"]
    part("disable", half.half().float() if host_rounds else half, 2, STEPS)
    changed = half.clone()
    changed.view(-1)[place] += 0.5
    with pytest.raises(ValueError, match="did not see the sampler"):
        part("disable", changed, 2, STEPS)


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


@pytest.mark.parametrize("region", ["lower", None] if HAS_WRAPPERS else [])
def test_only_zeros_are_an_empty_latent(bench, check_refused, region):
    """As the host has it. One colour is a picture."""
    model, latent = bench.keep(region=region), {"samples": torch.full_like(bench.photo, 2 * float(bench.photo.max()))}
    check_refused(lambda: bench.sample(model, bench.optimized, latent=latent), "photo's own latent")


@pytest.mark.parametrize("first", ["edit", "another"] if HAS_WRAPPERS else [])
def test_a_second_pass_over_an_edit_of_the_whole_picture(bench, first):
    """However far it went, for these bytes were drawn here."""
    model = bench.keep(region=None)
    ends = bench.optimized[0], bench.target[0]
    text = [[torch.lerp(ends[0][0], ends[1][0], 6.0), ends[1][1]]]
    result = bench.sample(model, text, sampler="euler")
    assert bench.away(result) > 1
    if first == "edit":
        assert bench.sample(model, text, latent={"samples": result}, denoise=0.5).isfinite().all()
    else:
        with pytest.raises(ValueError, match="another picture"):
            bench.sample(bench.keep(region=None), text, latent={"samples": result}, denoise=0.5)
