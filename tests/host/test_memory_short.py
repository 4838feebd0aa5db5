"""A device that is short of memory: one sentence that says what to change, and nothing half done stays."""

import importlib
from functools import partial

import pytest
import torch

from tests.benchmarks.memory import allocated_at_most

SENTENCE = r"too little memory.*fewer pixels.*gradient_checkpointing.*LoRA.*fp8"


@pytest.fixture
def management():
    return importlib.import_module("comfy.model_management")


def out_of_memory(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


@pytest.mark.parametrize("call", [1, 5], ids=["in the trial run", "in a step"])
@pytest.mark.parametrize("stage", ["optimize", "tune"])
def test_memory_that_runs_out_in_a_run_ends_in_a_sentence_and_the_next_run_is_as_ever(studio, management, stage, call):
    run, calls = getattr(studio, stage), []

    def numbers() -> tuple[float, float]:
        summary = run()["ui"]["imagic"][0]
        return summary["validation_before"], summary["validation_after"]

    def end(*_):
        calls.append(1)
        if len(calls) == call:
            out_of_memory()

    expected, weights = numbers(), studio.weights()
    hook = studio.model.model.diffusion_model.input_blocks[1][0].register_forward_pre_hook(end)
    try:
        # The host's own class of error: it then takes its models off the device.
        with pytest.raises(management.OOM_EXCEPTION, match=SENTENCE):
            run()
    finally:
        hook.remove()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in studio.weights().items())
    assert numbers() == expected


@pytest.mark.parametrize("stage", ["optimize", "tune"])
def test_memory_that_runs_out_while_loading_leaves_no_half_of_a_model(studio, management, monkeypatch, stage):
    studio.sample(studio.model, studio.target)
    with monkeypatch.context() as patched:
        patched.setattr(management, "load_models_gpu", out_of_memory)
        with pytest.raises(management.OOM_EXCEPTION, match=SENTENCE):
            getattr(studio, stage)()
    assert management.current_loaded_models == []
    assert getattr(studio, stage)()["result"]


def test_the_host_is_asked_for_what_was_measured(studio, monkeypatch):
    """More for more pixels and for more to train, less with checkpointing."""
    training, asked = studio.module("nodes.host.training"), []
    monkeypatch.setattr(training, "make_room", lambda model, needed: asked.append(needed))
    studio.optimize()
    studio.optimize(gradient_checkpointing=True)
    studio.tune()
    studio.tune(gradient_checkpointing=True)
    studio.tune(tune="all weights")
    embedding, checkpointed, lora, lora_checkpointed, everything = asked
    assert checkpointed < embedding
    assert lora_checkpointed < lora < everything
    weights = sum(weight.numel() for weight in studio.model.model.diffusion_model.parameters())
    assert everything - lora > 15 * weights  # a copy, its gradient and Adam's two moments, in fp32


@pytest.mark.cpu
def test_other_models_make_room_and_the_one_that_trains_stays(studio, management, monkeypatch):
    memory, seen = studio.module("nodes.host.memory"), []
    studio.sample(studio.model, studio.target)

    def free_memory(*asked, **options):
        # Out of it, weights that were loaded in it could not be used any more.
        assert torch.is_inference_mode_enabled()
        seen.append((*asked, options))

    monkeypatch.setattr(management, "free_memory", free_memory)
    memory.make_room(studio.model, 123)
    assert seen == []  # a CPU has no other place for them
    elsewhere = studio.model.clone()
    elsewhere.load_device = torch.device("cuda")
    monkeypatch.setattr(management, "current_loaded_models", [loaded := type("Loaded", (), {"model": elsewhere})()])
    memory.make_room(elsewhere, 123)
    assert seen == [(123, torch.device("cuda"), {"keep_loaded": [loaded]})]


@pytest.mark.cpu
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("tune", [None, "LoRA", "LoRA all layers", "attention", "all weights"])
def test_the_estimate_is_near_what_a_run_takes(studio, monkeypatch, tune, checkpointing):
    """On the demo model, whose corner is the whole photo: what is kept, against the peak of a run."""
    memory, training, kept = studio.module("nodes.host.memory"), studio.module("nodes.host.training"), []

    def keeps(*asked):
        kept.append(memory.training_keeps(*asked))
        return kept[-1]

    monkeypatch.setattr(training, "training_keeps", keeps)
    options = {"gradient_checkpointing": checkpointing, "steps": 2}
    run = partial(studio.optimize, **options) if tune is None else partial(studio.tune, tune=tune, **options)
    run()
    peak = allocated_at_most(run)
    # The peak also has the forward pass at work, which the host is asked for apart.
    assert 0.4 * peak < kept[-1] < 1.6 * peak


def test_a_search_that_runs_out_of_memory_does_not_speak_of_training(studio, management, monkeypatch):
    evaluating, memory = studio.module("nodes.host.evaluating"), studio.module("nodes.host.memory")
    monkeypatch.setattr(evaluating.comfy.model_management, "load_models_gpu", out_of_memory)
    inputs = {"model": studio.model, "latent": studio.latent, "optimized": studio.target, "target": studio.target}
    with pytest.raises(management.OOM_EXCEPTION, match="too little memory") as raised:
        studio.nodes["ImagicEditRegion"]().find(**inputs, threshold=0.4)
    assert memory.CHANGES_UNTRAINED in str(raised.value)
    assert "checkpointing" not in str(raised.value)


def test_memory_of_an_apple_device_that_runs_out_is_no_strange_photo(studio, management):
    memory, probe = studio.module("nodes.host.memory"), studio.module("nodes.host.probe")
    with pytest.raises(management.OOM_EXCEPTION, match=SENTENCE), memory.spared(), probe.errors_as_a_sentence():
        raise RuntimeError("MPS backend out of memory (MPS allocated: 17.0 GB)")
    with pytest.raises(ValueError, match="does not run"), memory.spared(), probe.errors_as_a_sentence():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
