"""Every family of models that a host loads is edited, or refused by a sentence that says why."""

from itertools import pairwise

import comfy.supported_models
import pytest
import torch

from .family import detect
from .rows import FAMILIES

TUNE_MODES = ("LoRA", "LoRA all layers", "attention", "all weights")
PAIRS = 32  # that gains are measured by: the stages' own four are too few to tell small ones
GAIN = 0.001  # of the validation loss, that A and B by default take off at least


def rows(condition) -> list:
    return [pytest.param(family, id=family.name) for family in FAMILIES if condition(family)]


KNOWN = rows(lambda family: family.known and not family.refusal)
REFUSED = rows(lambda family: family.known and family.refusal)
ABSENT = rows(lambda family: not family.known)


@pytest.fixture
def found(record_property):
    """Records what becomes of a family."""

    def record(family, status: str, why: str) -> None:
        for name, value in (("family", family.name), ("status", status), ("why", why)):
            record_property(name, value)

    return record


def test_no_family_of_this_host_is_missing():
    assert {config.__name__ for config in comfy.supported_models.models} <= {family.config for family in FAMILIES}


@pytest.mark.parametrize("family", ABSENT or [None])
def test_is_absent_by_name(family, found):
    if family is None:
        assert not ABSENT
        return
    assert family.needs or not hasattr(comfy.supported_models, family.config)
    found(family, "absent", "not in this ComfyUI")


@pytest.mark.parametrize("family", [row for row in KNOWN if row.values[0].detected])
def test_the_host_takes_a_checkpoint_of_real_widths_for_what_it_is(family):
    assert type(detect(family)[0]).__name__ == family.config


@pytest.mark.parametrize("family", REFUSED)
def test_is_refused(workbench, family, found):
    bench = workbench(family)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - each family has its own sentence
        bench.optimize()
    found(family, "refused", str(error.value))
    assert family.refusal in str(error.value)
    assert "\n" not in str(error.value)
    assert bench.weights_are_untouched()


@pytest.mark.parametrize("family", KNOWN)
def test_is_edited(workbench, family, caplog, found, record_property):
    note = family.note or family.faint
    found(family, "note" if note else "works", note)
    bench = workbench(family)
    answer = bench.optimize()
    summary, optimized = answer["ui"]["imagic"][0], answer["result"][0]
    levels = [bench.loss(bench.model, text, PAIRS) for text in (bench.target, optimized)]
    for name, before in bench.target_entries().items():
        after = {"cross_attn": optimized[0][0], **optimized[0][1]}[name]
        if name in family.text:
            assert not torch.equal(after, before), f"no gradient reached {name}"
        else:
            assert torch.equal(after, before) if isinstance(before, torch.Tensor) else after == before

    reached = summary["validation_after"]
    for tune in TUNE_MODES[: 1 if family.variant else None]:
        answer = bench.tune(optimized, tune)
        if tune == "LoRA":
            levels.append(bench.loss(answer["result"][0], optimized, PAIRS))
        summary, tuned = answer["ui"]["imagic"][0], answer["result"][0]
        assert summary["validation_before"] == pytest.approx(reached, rel=1e-4)
        assert summary["validation_after"] < summary["validation_before"]
        # What was trained beside the layers is what the host's patches compute.
        gain = summary["validation_before"] - summary["validation_after"]
        assert bench.loss(tuned, optimized) == pytest.approx(summary["validation_after"], abs=0.02 * gain)
    gains = [round(1 - after / before, 4) for before, after in pairwise(levels)]
    record_property("gain", gains)
    assert min(gains) > (0 if family.faint else GAIN), gains
    plain, checkpointed = bench.lora_gradients(optimized)
    # Some are zero but for rounding, as of what is added to all of a channel right before it is normalized.
    largest = max(gradient.abs().max() for gradient in plain)
    for got, expected in zip(checkpointed, plain, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-5 * float(largest))
    assert "not loaded" not in caplog.text.lower()

    middle = bench.interpolate(optimized)
    for name in family.text:
        ends = [{"cross_attn": end[0][0], **end[0][1]}[name].float() for end in (optimized, bench.target)]
        between = {"cross_attn": middle[0][0], **middle[0][1]}[name].float()
        torch.testing.assert_close(between, torch.lerp(*ends, 0.5))
    edited = bench.sample(tuned, middle)
    assert torch.isfinite(edited).all()
    torch.testing.assert_close(bench.sample_custom(tuned, middle), edited, rtol=1e-3, atol=1e-3)

    keeping, photo = bench.keep_photo(tuned, optimized), bench.latent["samples"]
    at_zero, at_one = ((bench.sample(keeping, text) - photo).abs().max() for text in (optimized, bench.target))
    # Not zero: the highest noise levels of some families, and a random network, make much of rounding.
    assert at_zero < 0.02
    assert at_one > max(1e-3, 2 * at_zero)

    assert not torch.equal(bench.sample(bench.model, middle), edited)
    assert bench.weights_are_untouched()
