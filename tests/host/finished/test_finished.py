"""Never train twice: what was trained before comes from disk, the same to the bit, and only if all is the same."""

import importlib.util

import pytest
import torch

from ..conftest import Studio
from ..test_stages import TUNE_MODES, same
from .conftest import Quick


def summary(answer: dict) -> dict:
    return {name: value for name, value in answer["ui"]["imagic"][0].items() if name not in ("seconds", "recalled")}


def alike(one: list, other: list) -> bool:
    """Whether two CONDITIONINGs of one entry are the same to the bit."""
    (tokens, rest), (others, other_rest) = one[0], other[0]
    return torch.equal(tokens, others) and all(
        torch.equal(value, other_rest[name]) if isinstance(value, torch.Tensor) else value == other_rest[name]
        for name, value in rest.items()
    )


def test_the_embedding_from_disk_is_the_trained_one_to_the_bit(studio, quick, trainings):
    first, again = quick.optimize(), quick.optimize()
    assert trainings == ["optimize_embedding"]
    assert alike(again["result"][0], first["result"][0])
    assert first["result"][0][0][1].keys() == again["result"][0][0][1].keys()
    assert again["result"][1] == first["result"][1]
    assert summary(again) == summary(first)
    assert [answer["ui"]["imagic"][0]["recalled"] for answer in (first, again)] == [False, True]
    charts = [studio.nodes["ImagicLossChart"]().draw(answer["result"][1], "A")[0] for answer in (first, again)]
    assert torch.equal(*charts)


@pytest.mark.parametrize("tune", TUNE_MODES)
def test_the_model_from_disk_is_the_tuned_one_to_the_bit(studio, quick, trainings, tune):
    weights = studio.weights()
    first, again = quick.tune(tune=tune), quick.tune(tune=tune)
    assert trainings == ["fine_tune"]
    (tuned, lora, loss), (tuned_again, lora_again, loss_again) = first["result"], again["result"]
    assert list(lora) == list(lora_again)
    assert same(lora, lora_again)
    assert loss == loss_again
    assert summary(again) == summary(first)
    pictures = [quick.sample(model) for model in (tuned, tuned_again)]
    assert torch.equal(*pictures)
    quick.sample(studio.model)  # takes the tuning's patches out of the shared weights
    assert same(studio.weights(), weights)


def test_a_restart_and_an_eviction_train_nothing_again(studio, quick, trainings):
    optimized = quick.optimize()["result"][0]
    first = quick.tune(conditioning=optimized)["result"][1]
    trainings.clear()
    fresh = Quick(Studio(studio.pack))  # everything is loaded anew
    again = fresh.optimize()["result"][0]
    assert alike(again, optimized)
    assert same(fresh.tune(conditioning=again)["result"][1], first)
    assert trainings == []


def changed_weight(studio):
    with torch.inference_mode():
        model = studio.nodes["ImagicDemoCheckpoint"]().load()[0]
        weight = next(model.model.diffusion_model.parameters())
        weight.view(-1)[7] *= 1 + 1e-6
    return model


def with_lora(studio, strength: float):
    network = studio.module("imagic.adapters").LoRA(studio.model.model.diffusion_model, 1, 0)
    lora = {name: torch.ones_like(tensor) for name, tensor in network.state_dict().items()}
    named = studio.module("nodes.host.lora").lora_file_layout(lora)
    return studio.module("nodes.host.lora").apply_update(studio.model, named, strength)


def other_sampling(studio):
    sampling = importlib.import_module("comfy_extras.nodes_model_advanced").ModelSamplingDiscrete
    with torch.inference_mode():
        return sampling().patch(studio.model, "v_prediction", False)[0]


def guided(conditioning: list, **more) -> list:
    return [[conditioning[0][0], {**conditioning[0][1], **more}]]


def test_whatever_else_is_different_trains_again(studio, quick, trainings):
    target, samples = studio.target, quick.latent["samples"]
    nudged = samples.clone()
    nudged.view(-1)[5] += 1e-6
    changes = [{}, {"latent": {"samples": nudged}}, {"latent": {"samples": samples[..., :4]}}]
    changes += [{"conditioning": conditioning} for conditioning in (studio.text("a cat"), guided(target, guidance=3.5))]
    changes += [{"conditioning": guided(target, guidance=4.0)}]
    changes += [{name: value} for name, value in {"steps": 1, "learning_rate": 2e-3, "samples": 2, "seed": 5}.items()]
    changes += [{"schedule": "constant"}, {"gradient_checkpointing": True}]
    changes += [{"model": model} for model in (changed_weight(studio), with_lora(studio, 0.1), with_lora(studio, 0.2))]
    changes += [{"model": other_sampling(studio)}]
    runs = [(quick.optimize, change) for change in changes]
    runs += [(quick.tune, change) for change in ({}, {"tune": "LoRA all layers"}, {"rank": 2}, {"seed": 5})]
    for number, (run, change) in enumerate(runs, 1):
        run(**change)
        assert len(trainings) == number, change
    for run, change in runs:
        run(**change)
    assert len(trainings) == len(runs)


def test_a_pooled_text_that_the_model_does_not_read_trains_nothing_again(studio, quick, trainings):
    """What it holds is not told by the text: hosts make it with weights that no file has."""
    other = guided(studio.target, pooled_output=torch.full_like(studio.target[0][1]["pooled_output"], 7))
    quick.optimize()
    quick.optimize(conditioning=other)
    assert trainings == ["optimize_embedding"]


def patched(studio):
    model = studio.model.clone()
    model.set_model_attn1_patch(lambda q, k, v, extra_options: (q, k, v))
    return model


def replaced(studio):
    model = studio.model.clone()
    model.add_object_patch("diffusion_model.time_embed", studio.model.model.diffusion_model.time_embed)
    return model


def test_code_of_other_nodes_cannot_be_read_so_it_trains_each_time(studio, quick, trainings, disk):
    for model in (patched(studio), replaced(studio)):
        for _ in range(2):
            quick.optimize(model=model)
    assert len(trainings) == 4
    hook = studio.model.model.diffusion_model.register_forward_hook(lambda *_: None)
    try:
        quick.optimize()
        quick.optimize()
    finally:
        hook.remove()
    for _ in range(2):
        quick.optimize(conditioning=guided(studio.target, anything=object()))
    assert len(trainings) == 8
    assert not disk.exists()


def test_a_new_version_of_the_pack_trains_again(studio, quick, trainings, monkeypatch):
    quick.optimize()
    monkeypatch.setattr(studio.module("nodes.host.finished"), "_of_pack", lambda: "of another version")
    quick.optimize()
    assert len(trainings) == 2


def test_the_switch_trains_and_keeps_nothing(quick, trainings, disk, monkeypatch):
    quick.optimize(remember=False)
    assert not disk.exists()
    quick.optimize()
    quick.optimize(remember=False)
    assert len(trainings) == 3
    monkeypatch.setenv("IMAGIC_CACHE_GB", "0")
    quick.optimize()
    assert len(trainings) == 4


def test_a_damaged_file_is_trained_anew_and_what_is_too_large_is_told(quick, trainings, disk, monkeypatch, caplog):
    first = quick.optimize()["result"][0]
    (path,) = disk.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    assert alike(quick.optimize()["result"][0], first)
    assert alike(quick.optimize()["result"][0], first)
    assert len(trainings) == 2
    monkeypatch.setenv("IMAGIC_CACHE_GB", "0.01")
    quick.tune(tune="all weights")
    assert "is not kept on disk: save it with Save Imagic Edit. It takes 0." in caplog.text
    monkeypatch.setenv("IMAGIC_CACHE_GB", "much")
    quick.optimize()
    assert len(trainings) == 3
    assert [each for each in disk.iterdir() if each != path] == []


@pytest.mark.parametrize("size", ["inf", "nan", "-1", "1e300", ""])
def test_a_size_that_is_none_is_told_once_and_the_usual_one_taken(quick, trainings, disk, monkeypatch, caplog, size):
    monkeypatch.setenv("IMAGIC_CACHE_GB", size)
    quick.optimize(remember=False)
    assert caplog.text == ""
    quick.optimize()
    quick.optimize()
    assert len(trainings) == 2
    (record,) = caplog.records
    assert record.getMessage() == "Imagic: IMAGIC_CACHE_GB is not a number from 0 up, so 4 is taken."


def test_why_a_training_is_not_kept_is_told(quick, trainings, disk, caplog):
    disk.parent.write_text("in the folder's place")
    quick.optimize()
    (record,) = caplog.records
    told = record.getMessage()
    assert told.startswith("This training is not kept on disk: save it with Save Imagic Edit. ")
    assert told.count("GB") == 0
    assert "cannot be written, since a file is where its folder would be" in told


def test_what_was_cancelled_is_not_kept(quick, disk):
    management = importlib.import_module("comfy.model_management")
    management.interrupt_current_processing()
    with pytest.raises(management.InterruptProcessingException):
        quick.optimize()
    assert not disk.exists()
