"""Keep Photo on a real host: what it promises holds for the host's own samplers."""

import itertools

import comfy.sample
import comfy.samplers
import numpy as np
import pytest
import torch

from demo.scenes import render
from demo.scenes.edits import draw_edits


@pytest.fixture(scope="module")
def optimized(studio):
    """An embedding of three steps."""
    return studio.optimize()["result"][0]


@pytest.fixture
def keep(studio, optimized):
    """Keep Photo, run as the host would, on the base model."""

    @torch.inference_mode()
    def run(**changes):
        inputs = {"model": studio.model, "latent": studio.latent, "optimized": optimized, "target": studio.target}
        return studio.nodes["ImagicKeepPhoto"]().keep(**{**inputs, "threshold": 0.4, **changes})["result"]

    run.optimized = optimized
    return run


SAME = 0.03  # of latents that reach 30; uni_pc stops a little short of no noise


def distance(studio, latent: dict) -> float:
    return float((latent["samples"] - studio.latent["samples"]).abs().max())


@pytest.mark.parametrize("sampler", ["ddim", "euler", "heun", "dpm_2", "dpmpp_2m", "uni_pc"])
@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_eta_zero_gives_the_photo_back_without_any_tuning(studio, keep, sampler, cfg):
    model, _ = keep()
    plain = studio.sample(studio.model, keep.optimized, steps=6, sampler_name=sampler, cfg=cfg)
    kept = studio.sample(model, keep.optimized, steps=6, sampler_name=sampler, cfg=cfg)
    assert distance(studio, kept) < SAME < 0.3 < distance(studio, plain)


def test_the_target_changes_the_photo_and_eta_how_much(studio, keep):
    model, region = keep()
    assert region.shape == (1, 128, 128)
    assert 0 < region.mean() < 1
    edits = [
        studio.sample(model, c, steps=6) for c in studio.interpolate(keep.optimized, studio.target, sweep="0.3, 1")
    ]
    assert SAME < distance(studio, edits[0]) < distance(studio, edits[1])


def test_one_model_serves_runs_with_other_seeds_levels_and_batches(studio, keep):
    model, _ = keep()
    twice = {"samples": studio.latent["samples"].repeat(2, 1, 1, 1)}
    for changes in ({"seed": 1}, {"denoise": 0.6}, {"seed": 2}, {"latent_image": twice}, {"steps": 3}):
        kept = studio.sample(model, keep.optimized, **{"steps": 6, **changes})
        assert distance(studio, kept) < SAME, changes


class Cancelled(Exception):
    pass


@pytest.mark.parametrize("step", [0, 2])
def test_a_run_that_was_cancelled_does_not_count(studio, keep, step):
    """The next one, with another seed, draws what it draws on a fresh MODEL."""
    seen = []

    def cancel(args):
        if len(seen) == step:
            raise Cancelled
        seen.append(args)
        return args["denoised"]

    model, _ = keep()
    cancelling = model.clone()
    cancelling.set_model_sampler_post_cfg_function(cancel)
    with pytest.raises(Cancelled):
        studio.sample(cancelling, studio.target, steps=6, seed=7)
    for denoise in (1.0, 0.2) if tells_runs_apart(studio) else (1.0,):
        after, fresh = (studio.sample(each, studio.target, steps=6, denoise=denoise) for each in (model, keep()[0]))
        assert torch.equal(after["samples"], fresh["samples"])


def tells_runs_apart(studio) -> bool:
    """The host of March 2024 does not."""
    return hasattr(studio.model, "wrappers")


def test_a_sampler_that_goes_back_to_more_noise_edits_as_others_do(studio, keep):
    """On a picture that the model knows, with a caption of it in place of an optimized embedding."""
    edit = draw_edits(2, seed=20)[0]
    photo = studio.encode(torch.from_numpy(np.array(render(edit.scene)))[None] / 255)
    target = studio.text(edit.target_caption)
    model, _ = keep(latent=photo, optimized=studio.text(edit.source_caption), target=target)
    edits = [
        studio.sample(model, target, steps=12, sampler_name=name, latent_image=photo)["samples"]
        for name in ("euler", "heunpp2")
    ]
    if tells_runs_apart(studio):
        size = (edits[0] - photo["samples"]).square().mean().sqrt()
        assert (edits[1] - edits[0]).square().mean().sqrt() < 0.5 * size


@torch.inference_mode()
def in_part(studio, model, conditioning, latent, start, end) -> dict:
    """KSampler (Advanced) from one step of six to another: the first adds noise, and what is left of it goes on."""
    first = "enable" if start == 0 else "disable"
    arguments = (model, first, 5, 6, 3.0, "euler", "normal", conditioning, studio.negative, latent, start, end)
    return studio.host.KSamplerAdvanced().sample(*arguments, "enable" if end < 6 else "disable")[0]


@pytest.mark.parametrize("place", [3, 5])
def test_a_second_sampler_goes_on_with_the_first_ones_noise_in_a_sweep_too(studio, keep, place):
    """As hosts run a sweep: the first sampler for every eta, then the second for every eta."""
    if not tells_runs_apart(studio):
        return
    etas = studio.interpolate(keep.optimized, studio.target, sweep="0, 0.6, 1.2")

    def both(model, conditioning):
        half = in_part(studio, model, conditioning, studio.latent, 0, place)
        return in_part(studio, model, conditioning, half, place, 6)

    alone = [both(keep()[0], conditioning) for conditioning in etas]
    model, _ = keep()
    halves = [in_part(studio, model, conditioning, studio.latent, 0, place) for conditioning in etas]
    swept = [in_part(studio, model, *pair, place, 6) for pair in zip(etas, halves, strict=True)]
    assert distance(studio, swept[0]) < SAME < distance(studio, swept[2])
    for one, other in zip(alone, swept, strict=True):
        assert torch.equal(one["samples"], other["samples"])
    whole = in_part(studio, keep()[0], etas[2], studio.latent, 0, 6)["samples"]
    size = (whole - studio.latent["samples"]).square().mean().sqrt()
    assert (swept[2]["samples"] - whole).square().mean().sqrt() < 0.25 * size


@torch.inference_mode()
def test_the_same_levels_again_are_another_run(studio, keep):
    """SamplerCustom and its kin hand on the SIGMAS of a node, which stay the same object as long as it is cached."""
    levels = studio.levels(6)
    model, _ = keep()
    for seed in (1, 2):
        noise = comfy.sample.prepare_noise(studio.latent["samples"], seed)
        kept = comfy.sample.sample_custom(
            model,
            noise,
            3.0,
            comfy.samplers.ksampler("euler"),
            levels,
            keep.optimized,
            studio.negative,
            studio.latent["samples"],
            seed=seed,
        )
        assert distance(studio, {"samples": kept}) < SAME, seed


def test_a_clone_of_a_model_that_has_drawn_shares_its_weights(studio, keep):
    """Hosts up to 2025 copy a MODEL's options whole."""
    model, _ = keep()
    studio.sample(model, keep.optimized)
    clone = model.clone()
    assert clone.model is studio.model.model
    for function in clone.model_options.get("sampler_post_cfg_function", []):
        assert function.model is None


def test_a_second_keep_photo_is_refused(keep):
    model, _ = keep()
    with pytest.raises(ValueError, match="keeps a photo already"):
        keep(model=model)


def test_a_size_that_the_text_names_is_told_to_the_model_for_the_photo_too(studio, keep, monkeypatch):
    """As SDXL's text encoder nodes do; else the photo would be explained as a picture of another size."""
    told, ask = [], studio.model.model.extra_conds

    def extra_conds(**inputs):
        told.append((inputs["width"], inputs["height"]))
        return ask(**inputs)

    monkeypatch.setattr(studio.model.model, "extra_conds", extra_conds)
    tokens, extras = keep.optimized[0]
    sized = [[tokens, {**extras, "width": 1000, "height": 700}]]
    model, _ = keep(optimized=sized, target=sized)
    told.clear()
    studio.sample(model, sized)
    # For the edit and for the photo, each once; the negative text names none.
    assert told.count((1000, 700)) == 2


def seen_by(model, seen: list):
    """A clone of MODEL with a model function wrapper that notes down what each call shows the network."""
    noting = model.clone()

    def note(apply_model, args):
        seen.append(args["input"].clone())
        return 1.1 * apply_model(args["input"], args["timestep"], **args["c"])

    noting.set_model_unet_function_wrapper(note)
    return noting


def test_each_step_looks_through_other_noise_and_other_wrappers_stay_in_place(studio, keep):
    seen = []
    if not tells_runs_apart(studio):
        with pytest.raises(ValueError, match="update ComfyUI"):
            keep(model=seen_by(studio.model, seen))
        return
    model, _ = keep(model=seen_by(studio.model, seen))
    for seed in (0, 0, 1):
        studio.sample(model, keep.optimized, steps=20, seed=seed)
    assert len(seen) == 3 * 20
    for step in range(20):
        # Edit and photo, each with the text and without; at eta 0 the sample is the photo, whatever it is seen through.
        edit, photo = seen[step].chunk(2)[0].chunk(2)
        torch.testing.assert_close(edit, photo, rtol=1e-4, atol=1e-3)
    steps = [inputs[:1] / inputs[:1].std() for inputs in seen[:4]]  # nearly all of it noise
    for one, other in itertools.combinations(steps, 2):
        assert (one * other).mean().abs() < 0.3
    assert torch.equal(seen[0], seen[20])
    assert not torch.equal(seen[0], seen[40])


def test_outside_a_region_of_the_users_own_nothing_changes(studio, keep):
    mask = torch.zeros(1, 128, 128)
    mask[:, :64] = 1
    model, region = keep(region=mask)
    assert torch.equal(region[0, ::127, 64], torch.tensor([1.0, 0.0]))
    edit = studio.sample(model, studio.target, steps=6)["samples"]
    change = (edit - studio.latent["samples"]).abs().amax((0, 1, 3))
    assert change[8:].max() < SAME < change[:8].min()


def test_the_model_that_went_in_draws_as_before(studio, keep):
    before = studio.sample(studio.model, studio.target)["samples"]
    model, _ = keep()
    studio.sample(model, studio.target)
    assert torch.equal(studio.sample(studio.model, studio.target)["samples"], before)


def test_same_inputs_same_bytes(studio, keep):
    first, second = (keep() for _ in range(2))
    assert torch.equal(first[1], second[1])
    samples = [studio.sample(model, studio.target)["samples"] for model, _ in (first, second)]
    assert torch.equal(*samples)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"threshold": 1.5}, "threshold is 1.5: set it between 0 and 0.95"),
        ({"region": torch.zeros(1, 128, 128)}, "The region is empty"),
        ({"region": torch.ones(2, 128, 128)}, "holds 2 masks"),
        ({"optimized": []}, "The optimized conditioning is empty"),
        ({"target": []}, "The target conditioning is empty"),
        ({"latent": {"samples": torch.zeros(1, 16, 8, 8)}}, "16 channels"),
    ],
)
def test_bad_input_gets_one_sentence(keep, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        keep(**changes)


def test_noise_that_a_sampler_adds_is_where_the_sampler_is(studio):
    """The host draws the first noise on the CPU, whatever device it samples on."""
    rehearsal, sampler = studio.module("nodes.host.rehearsal"), comfy.samplers.ksampler("euler_ancestral")
    sampler = rehearsal.with_the_same_noise(sampler, torch.zeros(1, 4, 16, 16), 0)
    level = torch.ones((), device="meta")
    added = sampler.extra_options["noise_sampler"](level, level)
    assert (added.device.type, added.shape) == ("meta", (2, 4, 16, 16))
