"""The strength of a tuning, and tunings of another model."""

import pytest
import torch


def test_strength_scales_the_tuning(studio, trained, load, save):
    apply = studio.nodes["ImagicTuningStrength"]().apply
    output = {
        strength: studio.sample(apply(studio.model, trained["lora"], strength)[0], studio.target)["samples"]
        for strength in (0.0, 0.5, 1.0)
    }
    base = studio.sample(studio.model, studio.target)["samples"]
    torch.testing.assert_close(output[0.0], base, atol=1e-5, rtol=0)
    assert torch.equal(output[1.0], studio.sample(trained["tuned"], studio.target)["samples"])
    near, far = ((output[strength] - base).norm() for strength in (0.5, 1.0))
    assert 0.2 * far < near < 0.8 * far
    half = load(save(), strength=0.5)[0]
    assert torch.equal(studio.sample(half, studio.target)["samples"], output[0.5])
    with pytest.raises(ValueError, match="strength is 3"):
        apply(studio.model, trained["lora"], 3.0)


@pytest.mark.parametrize("layer", ["a.lora_up.weight", "lora_unet_no_such_layer.diff"])
def test_a_lora_that_changes_nothing_of_the_model_is_refused(studio, layer):
    apply = studio.nodes["ImagicTuningStrength"]().apply
    with pytest.raises(ValueError, match=r"^The lora is of another model: connect the model that it was tuned on\.$"):
        apply(studio.model, {layer: torch.zeros(2, 2)}, 1.0)


def test_a_tuning_of_a_kind_that_is_not_made_here_is_not_blamed_on_the_model(studio):
    """Train LoRA of the host makes LoHa, LoKr and OFT as well."""
    layer = "diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q"
    loha = {f"{layer}.hada_{part}": torch.zeros(2, 2) for part in ("w1_a", "w1_b", "w2_a", "w2_b")}
    loha["diffusion_model.out.0.diff"] = torch.zeros(2)  # it adds the norms in full
    with pytest.raises(ValueError, match=r"^The lora is a LoHa, LoKr or OFT.*: connect it to Load LoRA Model\.$"):
        studio.nodes["ImagicTuningStrength"]().apply(studio.model, loha, 1.0)


def narrower(lora: dict) -> dict:
    """A tuning of a model with the same names and narrower layers."""
    return {
        name: tensor[: len(tensor) // 2] if name.endswith(".lora_up.weight") else tensor
        for name, tensor in lora.items()
    }


def foreign(lora: dict) -> dict:
    """A tuning of a model with other names."""
    return {f"lora_unet_other_{name.removeprefix('lora_unet_')}": tensor for name, tensor in lora.items()}


@pytest.mark.parametrize("of_another", [narrower, foreign])
def test_a_lora_of_another_model_is_named_by_the_first_node_that_sees_it(
    studio, trained, save, load, output, of_another
):
    lora, sentence = of_another(trained["lora"]), r"^The lora is of another model: connect the model that it was tuned"
    with pytest.raises(ValueError, match=sentence):
        studio.nodes["ImagicTuningStrength"]().apply(studio.model, lora, 1.0)
    with pytest.raises(ValueError, match=sentence):
        save(lora=lora)
    assert not output.exists()
    edit_file, name = studio.module("imagic.edit_file"), save()
    edit = edit_file.load(output / name)
    edit.update = lora  # as versions before saved it
    edit_file.save(edit, output / name)
    with pytest.raises(ValueError, match=rf"^The LoRA in {name} is of another model than the edit: save it again\.$"):
        load(name)


@pytest.mark.parametrize("tune", ["LoRA all layers", "attention", "all weights"])
def test_every_way_to_tune_fits_its_own_model(studio, save, load, tune):
    lora = studio.tune(tune=tune)["result"][1]
    studio.nodes["ImagicTuningStrength"]().apply(studio.model, lora, 1.0)
    load(save(lora=lora))
    wrong = {name: tensor[..., :1] if tensor.ndim else tensor for name, tensor in lora.items()}
    with pytest.raises(ValueError, match="is of another model"):
        studio.nodes["ImagicTuningStrength"]().apply(studio.model, wrong, 1.0)
