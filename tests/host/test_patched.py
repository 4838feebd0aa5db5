"""Training a MODEL that nodes before have put code of their own into: with weights of its own, or with a look at the
noise level."""

import importlib

import pytest
import torch

from .conftest import in_inference_mode
from .families.conftest import call
from .ready import ready_to_train


@pytest.fixture
def losses(studio):
    """What both stages report of a MODEL: validation losses before and after."""

    def run(model) -> list[float]:
        answer = studio.optimize(model=model)
        found = [answer["ui"]["imagic"][0]]
        found += [
            studio.tune(model=model, conditioning=answer["result"][0], gradient_checkpointing=checkpointing)["ui"][
                "imagic"
            ][0]
            for checkpointing in (False, True)
        ]
        return [each[f"validation_{when}"] for each in found for when in ("before", "after")]

    return run


@in_inference_mode
def test_a_lora_beside_the_layers_trains_as_one_in_them(studio, losses):
    sd = importlib.import_module("comfy.sd")
    if not hasattr(sd, "load_bypass_lora_for_models"):
        pytest.skip("this host has no Load LoRA (Bypass)")
    lora = studio.tune(steps=6, learning_rate=1e-2, tune="LoRA all layers")["result"][1]
    lora = {name: tensor.clone() for name, tensor in lora.items()}  # as a node would load it
    assert all(tensor.is_inference() for tensor in lora.values())
    loads = sd.load_bypass_lora_for_models, sd.load_lora_for_models
    beside, inside = (load(studio.model, None, lora, 1.0, 0.0)[0] for load in loads)
    without, expected, found = losses(studio.model), losses(inside), losses(beside)
    # To the rounding of the two ways, which Adam makes whole steps of where gradients are near zero.
    assert found == pytest.approx(expected, rel=1e-3)
    assert found != pytest.approx(without, rel=1e-3)
    assert losses(studio.model) == without


@in_inference_mode
def test_a_hypernetwork_trains_and_stays_as_it_is(studio, losses, tmp_path):
    widths = {128, 256, studio.target[0][0].shape[-1]}
    torch.save(
        {
            width: [{"a.weight": torch.randn(width, width) * 0.02, "a.bias": torch.zeros(width)} for _ in range(2)]
            for width in widths
        },
        tmp_path / "own.pt",
    )
    extra = importlib.import_module("comfy_extras.nodes_hypernetwork")
    patch = extra.load_hypernetwork_patch(str(tmp_path / "own.pt"), 1.0)
    model = studio.model.clone()
    model.set_model_attn1_patch(patch)
    model.set_model_attn2_patch(patch)
    weights = [weight for module in patch.hypernet.values() for weight in module.parameters()]
    before = [weight.clone() for weight in weights]
    found = losses(model)
    assert found[1] < found[0]
    assert found != pytest.approx(losses(studio.model), rel=1e-4)
    assert all(torch.equal(now, then) for now, then in zip(weights, before, strict=True))
    assert all(weight.grad is None for weight in weights)


def test_code_that_asks_for_the_noise_level_is_told_that_of_its_sample(studio):
    """Deep Shrink at the noisy third of the levels: of a batch of two it shrinks the noisy one."""
    downscale = importlib.import_module("comfy_extras.nodes_model_downscale").PatchModelAddDownscale
    with torch.inference_mode():
        shrinking = call(downscale, studio.model, 3, 2.0, 0.0, 0.35, True, "bicubic", "bicubic")[0]
    plain, shrunk = (denoised(studio, model) for model in (studio.model, shrinking))
    torch.testing.assert_close(shrunk[0], plain[0], rtol=1e-4, atol=1e-4)
    assert (shrunk[1] - plain[1]).abs().max() > 0.01


def denoised(studio, model) -> torch.Tensor:
    """What a MODEL makes of the photo under little and under much noise, as one batch of training."""
    with (
        torch.inference_mode(),
        ready_to_train(studio, model, studio.latent["samples"], studio.target) as ready,
        torch.no_grad(),
    ):
        denoiser, latent, text = ready
        sigma = denoiser.sigma(torch.tensor([0.3, 0.9])).to(latent.device)
        noise = torch.randn(2, *latent.shape[1:], generator=torch.Generator().manual_seed(0)).to(latent.device)
        return denoiser(denoiser.add_noise(latent, noise, sigma), sigma, text)
