"""MODELs as they are in use: patched by other nodes, sharing weights with another, too large for the device."""

import importlib
import importlib.util

import pytest
import torch


def validation(answer: dict) -> tuple[float, float]:
    summary = answer["ui"]["imagic"][0]
    return summary["validation_before"], summary["validation_after"]


def test_attention_patches_of_other_nodes_are_obeyed_while_training_and_left_on_the_model(studio):
    calls = []

    def quieter(q, k, v, extra_options):
        calls.append(q.requires_grad or k.requires_grad)
        return q, k, v * 0.5

    patched = studio.model.clone()
    patched.set_model_attn2_patch(quieter)
    plain = validation(studio.optimize())
    before, after = validation(studio.optimize(model=patched))
    assert any(calls), "no gradient went through the patch"
    assert before != pytest.approx(plain[0], rel=1e-5)
    assert after < before
    answer = studio.tune(model=patched)
    assert validation(answer)[1] < validation(answer)[0] == pytest.approx(before)
    calls.clear()
    studio.sample(answer["result"][0], studio.target)
    assert calls


def test_two_models_that_share_weights_are_tuned_apart(studio):
    """One carries a LoRA already; what is patched in place for it is not what the other is tuned on, nor left to it."""
    comfy = studio.module("nodes.host.versions").comfy
    studio.sample(studio.model, studio.target)  # takes out what another MODEL has patched in
    base = studio.weights()
    lora = studio.tune(seed=5, learning_rate=5e-3)["result"][1]
    carrying, _ = comfy.sd.load_lora_for_models(studio.model, None, lora, 1.0, 0.0)
    alone, with_lora = (validation(studio.tune(model=model)) for model in (studio.model, carrying))
    pictures = [studio.sample(model, studio.target)["samples"] for model in (studio.model, carrying)]
    # The other way round, with the other one loaded and patched when a run begins.
    assert validation(studio.tune(model=carrying)) == with_lora != alone
    studio.sample(carrying, studio.target)
    assert validation(studio.tune(model=studio.model)) == alone
    for model, picture in zip((studio.model, carrying), pictures, strict=True):
        assert torch.equal(studio.sample(model, studio.target)["samples"], picture)
    studio.sample(studio.model, studio.target)
    assert all(torch.equal(tensor, base[name]) for name, tensor in studio.weights().items())


def test_a_model_that_torch_compiles_is_tuned_as_it_is_and_stays_one(studio):
    """The host compiles when it samples; a run of some dozen steps would not earn the compiling back."""
    if importlib.util.find_spec("comfy_extras.nodes_torch_compile") is None:
        assert not hasattr(studio.model, "wrappers")  # the host of March 2024 knows neither
        return
    node = importlib.import_module("comfy_extras.nodes_torch_compile").TorchCompileModel
    compiled = node.execute(studio.model, "inductor").result[0]
    assert validation(studio.optimize(model=compiled)) == validation(studio.optimize())
    answer = studio.tune(model=compiled)
    assert validation(answer) == validation(studio.tune())
    tuned = answer["result"][0]
    assert tuned.wrappers.keys() == compiled.wrappers.keys() != studio.model.wrappers.keys()


def test_a_stand_in_for_a_model_that_is_streamed_leaves_the_device_with_the_run(studio, monkeypatch):
    """By default newer hosts stream weights, and load a second copy of the model for who needs it whole.

    Its patcher goes with the run. What it has loaded would stay, for the host then takes MODEL for what is there.
    """
    if not hasattr(importlib.import_module("comfy.model_patcher"), "ModelPatcherDynamic"):
        assert not hasattr(studio.model, "get_non_dynamic_delegate")  # older hosts stream nothing
        return
    with torch.inference_mode():
        second = studio.nodes["ImagicDemoCheckpoint"]().load()[0]
    management = studio.module("nodes.host.memory").comfy.model_management

    def stand_in():
        patcher = second.clone()
        patcher.parent = studio.model
        return patcher

    monkeypatch.setattr(studio.model, "is_dynamic", lambda: True, raising=False)
    monkeypatch.setattr(studio.model, "get_non_dynamic_delegate", stand_in, raising=False)
    monkeypatch.setattr(studio.model, "cached_patcher_init", (stand_in, ()), raising=False)
    before, after = validation(studio.optimize())
    assert after < before
    assert second.model not in [loaded.model.model for loaded in management.current_loaded_models]
    assert second.model not in [loaded.real_model() for loaded in management.current_loaded_models if loaded.real_model]
    monkeypatch.setattr(studio.model, "cached_patcher_init", None, raising=False)
    with pytest.raises(ValueError, match=r"^ComfyUI cannot load this model for training: load it with Load Checkpoint"):
        studio.optimize()


class Elsewhere(torch.nn.Parameter):
    """A weight on any device but the model's own."""

    device = torch.device("meta")


def loaded_models(studio) -> list:
    return studio.module("nodes.host.memory").comfy.model_management.current_loaded_models


@pytest.mark.parametrize("stage", ["optimize", "tune"])
def test_a_model_that_is_not_whole_on_its_device_is_refused_with_the_flags_named(studio, stage):
    studio.sample(studio.model, studio.target)  # loaded, so that the host moves nothing when the run begins
    layer = studio.model.model.diffusion_model.out[2]
    whole = layer.weight
    try:
        layer.weight = Elsewhere(whole, requires_grad=False)
        with pytest.raises(ValueError, match=r"does not fit on the GPU whole.*--lowvram and --novram.*fewer pixels"):
            getattr(studio, stage)()
        assert studio.model.model not in [loaded.model.model for loaded in loaded_models(studio)]
    finally:
        layer.weight = whole
