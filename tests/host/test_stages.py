"""What must hold of each stage inside a real host."""

import importlib

import pytest
import torch
from safetensors.torch import save_file

from .ready import ready_to_train

TUNE_MODES = ("LoRA", "LoRA all layers", "attention", "all weights")


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_weights_are_inference_tensors_of_the_computation_type(studio):
    """The ground all other tests stand on: no cast hides that autograd refuses such weights.

    Asked of a model just loaded: where memory is short the host puts others aside, and back as ordinary tensors.
    """
    loaded = type(studio)(studio.pack).model
    weights = list(loaded.model.diffusion_model.parameters())
    assert all(weight.is_inference() for weight in weights)
    assert {weight.dtype for weight in weights} == {torch.float32}
    assert studio.latent["samples"].is_inference()


def test_optimizing_lowers_the_validation_loss_and_moves_the_embedding(studio):
    answer = studio.optimize(steps=20, samples=4)
    summary, optimized = answer["ui"]["imagic"][0], answer["result"][0]
    assert summary["validation_after"] < summary["validation_before"]
    assert not torch.equal(optimized[0][0], studio.target[0][0])
    assert optimized[0][0].shape == studio.target[0][0].shape
    assert len(answer["result"][1]["loss"]) == summary["steps"] == 20


@pytest.mark.parametrize("tune", TUNE_MODES)
def test_tuning_lowers_the_validation_loss(studio, tune):
    summary = studio.tune(tune=tune, steps=10, samples=4)["ui"]["imagic"][0]
    assert summary["validation_after"] < summary["validation_before"]


@pytest.mark.parametrize("tune", TUNE_MODES)
def test_the_model_that_went_in_is_bit_identical_afterwards(studio, tune):
    weights, output = studio.weights(), studio.sample(studio.model, studio.target)["samples"]
    tuned = studio.tune(tune=tune)["result"][0]
    assert not torch.equal(studio.sample(tuned, studio.target)["samples"], output)
    assert torch.equal(studio.sample(studio.model, studio.target)["samples"], output)
    assert same(studio.weights(), weights)


@pytest.mark.parametrize("stage", ["optimize", "tune"])
@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_a_run_that_ends_early_leaves_the_model_as_it_was(studio, monkeypatch, stage, end):
    weights, output = studio.weights(), studio.sample(studio.model, studio.target)["samples"]
    management = studio.module("nodes.host.versions").comfy.model_management
    if end == "cancelled":
        management.interrupt_current_processing()
        with pytest.raises(management.InterruptProcessingException):
            getattr(studio, stage)()
    else:
        # Far beyond any sensible value, so that the loss overflows within a few steps.
        monkeypatch.setattr(studio.module("imagic.checks"), "number", lambda name, value, **_: value)
        with pytest.raises(ValueError, match=r"step \d+ with learning rate 1e\+30"):
            getattr(studio, stage)(learning_rate=1e30, steps=10)
    assert torch.equal(studio.sample(studio.model, studio.target)["samples"], output)
    assert same(studio.weights(), weights)
    # No trace of the adapter either: a run after the broken one gives what a run before it gives.
    assert same(studio.tune()["result"][1], studio.tune()["result"][1])


@pytest.mark.parametrize("tune", TUNE_MODES)
def test_training_computes_what_the_native_patches_give(studio, tune):
    """Hooks and stand-in weights during the run, patches by the host's LoRA loader after it: the same network."""
    finetuning = studio.module("imagic.finetuning")
    photo, target = studio.latent["samples"], studio.target
    noise = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    seen = []

    def denoised(denoiser, text):
        sigma = denoiser.sigma(torch.tensor([0.3, 0.8]))
        with torch.no_grad():
            return denoiser(denoiser.add_noise(torch.zeros_like(noise), noise, sigma), sigma, text)

    with ready_to_train(studio, studio.model, photo, target) as (denoiser, latent, text_):
        # on_step runs between steps, outside of the adapter, so look at what the last forward of the run itself sees.
        original = finetuning.Validation.loss

        def look(self, denoiser_, *rest):
            seen.append(denoised(denoiser_, text_))
            return original(self, denoiser_, *rest)

        finetuning.Validation.loss = look
        try:
            update, _ = finetuning.fine_tune(denoiser, latent, text_, tune=tune, rank=4, steps=3, samples=2)
        finally:
            finetuning.Validation.loss = original
    lora = studio.module("nodes.host.lora")
    tuned = lora.apply_update(studio.model, lora.lora_file_layout(update))
    with ready_to_train(studio, tuned, photo, target) as (denoiser, _, text_):
        patched = denoised(denoiser, text_)
    before, after = seen
    torch.testing.assert_close(patched, after, atol=1e-4, rtol=0)
    assert (after - before).abs().max() > 1e-2  # or the comparison would say nothing


def test_checkpointing_changes_no_gradient(studio):
    plain, checkpointed = (studio.tune(gradient_checkpointing=value)["result"] for value in (False, True))
    for name, tensor in plain[1].items():
        torch.testing.assert_close(checkpointed[1][name], tensor, atol=1e-5, rtol=1e-4)
    plain, checkpointed = (studio.optimize(gradient_checkpointing=value)["result"] for value in (False, True))
    torch.testing.assert_close(checkpointed[0][0][0], plain[0][0][0], atol=1e-5, rtol=0)


def test_same_inputs_and_seed_give_the_same_bytes(studio):
    first, again, other = (studio.optimize(seed=seed)["result"][0][0][0] for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    first, again, other = (studio.tune(seed=seed)["result"][1] for seed in (7, 7, 8))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("tune", TUNE_MODES)
def test_the_saved_update_gives_the_tuned_model_through_the_hosts_load_lora(studio, caplog, tmp_path, tune):
    tuned, lora, _ = studio.tune(tune=tune)["result"]
    save_file(lora, tmp_path / f"{tmp_path.name}.safetensors")
    importlib.import_module("folder_paths").add_model_folder_path("loras", str(tmp_path))
    with torch.inference_mode():
        loader = studio.host.LoraLoader()
        loaded, _ = loader.load_lora(studio.model, studio.clip, f"{tmp_path.name}.safetensors", 1.0, 0.0)
    expected = studio.sample(tuned, studio.target)["samples"]
    assert torch.equal(studio.sample(loaded, studio.target)["samples"], expected)
    assert "not loaded" not in caplog.text.lower()


@pytest.mark.parametrize("stage", ["optimize", "tune"])
def test_cancel_is_obeyed_within_the_step(studio, stage):
    management = studio.module("nodes.host.versions").comfy.model_management
    forwards = []

    def cancel_in_the_second_step(*_):
        forwards.append(1)
        if len(forwards) == 4:  # the trial run and the validation set come first
            management.interrupt_current_processing()

    hook = studio.model.model.diffusion_model.register_forward_hook(cancel_in_the_second_step)
    try:
        with pytest.raises(management.InterruptProcessingException):
            getattr(studio, stage)(steps=50)
    finally:
        hook.remove()
    assert len(forwards) == 4


def test_tuned_models_compose_with_further_patches(studio):
    """The tuned MODEL is an ordinary one: another LoRA goes on top, and tuning a tuned MODEL starts from it."""
    comfy = studio.module("nodes.host.versions").comfy
    tuned, lora, _ = studio.tune()["result"]
    twice, _ = comfy.sd.load_lora_for_models(tuned, None, lora, 1.0, 0.0)
    outputs = [studio.sample(model, studio.target)["samples"] for model in (studio.model, tuned, twice)]
    assert not torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[1], outputs[2])
    again = studio.tune(model=tuned)["ui"]["imagic"][0]
    assert again["validation_before"] < studio.tune()["ui"]["imagic"][0]["validation_before"]
