"""Files as ComfyUI's nodes write them, of made-up updates; tests/host/test_host_edit.py has real ones."""

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers.loaders import single_file_utils
from PIL import Image

from imagic import edit_file
from imagic.diffusers import ImagicEdit, pictures
from imagic.diffusers.families import family_of
from imagic.diffusers.host_edit import base_of
from imagic.diffusers.host_names import places

from .pipelines import build

SIZE = 32
RAMP = np.linspace(0, 255, SIZE, dtype=np.uint8)
PHOTO = Image.fromarray(np.dstack(np.broadcast_arrays(RAMP, RAMP[:, None], np.uint8(128))))


def host_weights(family) -> dict[str, torch.Tensor]:
    """All weights of a network under the host's names, some layers of diffusers' joined to one."""
    weights, joined = family.network.state_dict(), {}
    for kind in ("weight", "bias"):
        for name, place in places(family).items():
            if f"{name}.{kind}" in weights:
                joined.setdefault(f"{place.layer}.{kind}", []).append(place.turned(weights[f"{name}.{kind}"]))
    return {name: torch.cat(parts) for name, parts in joined.items()}


def update_of(family, mode: str) -> dict[str, torch.Tensor]:
    """A made-up update of every layer, as Fine-Tune UNet gives it."""
    generator, update = torch.Generator().manual_seed(0), {}
    for name, weight in host_weights(family).items():
        layer, _, kind = name.rpartition(".")
        layer = f"lora_unet_{layer.replace('.', '_')}"
        if mode == "full":
            change = 0.1 * weight.abs().mean() * torch.randn(weight.shape, generator=generator)
            update[f"{layer}.{'diff' if kind == 'weight' else 'diff_b'}"] = change
        elif kind == "weight" and weight.ndim > 1 and "norm" not in name:
            down = torch.randn(2, *weight.shape[1:], generator=generator) / weight[0].numel() ** 0.5
            up = 0.1 * torch.randn(len(weight), 2, *[1 for _ in weight.shape[2:]], generator=generator)
            update |= {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}
            update[f"{layer}.alpha"] = torch.tensor(2.0)
    return update


def save(path, pipeline, update, **changes):
    """A file of this photo, of the size at which it is kept whole."""
    family = family_of(pipeline)
    anchor, _ = family.texts("a brown dog")
    optimized = {name: text * 1.1 if text.is_floating_point() else text for name, text in anchor.items()}
    parts = {
        "optimized": optimized,
        "anchor": anchor,
        "update": update,
        "preview": torch.from_numpy(np.array(PHOTO)),
        "base": base_of(family),
        "about": {"base": "model.ckpt", "settings": [], "size": PHOTO.size, "optimized": {}, "anchor": {}},
    } | changes
    edit_file.save(edit_file.Edit(**parts), path)


@pytest.mark.parametrize("name", ["Stable Diffusion 1", "Stable Diffusion 2", "SDXL", "SD3"])
def test_diffusers_own_converter_takes_the_names_and_gives_the_same_weights(name):
    family = family_of(build(name))
    weights = {f"model.diffusion_model.{key}": tensor for key, tensor in host_weights(family).items()}
    if name == "SD3":
        weights["pos_embed"] = family.network.pos_embed.pos_embed
        converted = single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers(weights)
    else:
        converted = single_file_utils.convert_ldm_unet_checkpoint(weights, family.network.config)
    expected = family.network.state_dict()
    assert converted.keys() == expected.keys()
    for key, tensor in converted.items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("Stable Diffusion 1", "LoRA"),
        ("SDXL", "full"),
        ("SD3", "LoRA"),
        ("SD3", "full"),
        ("Flux dev", "LoRA"),
        ("Flux dev", "full"),
        ("Flux schnell", "LoRA"),
        ("Qwen-Image", "LoRA"),
        ("Qwen-Image", "full"),
    ],
)
def test_the_network_computes_with_the_update_and_is_as_it_was_afterwards(name, mode, tmp_path, recwarn):
    pipeline = build(name)
    family = family_of(pipeline)
    update = update_of(family, mode)
    save(tmp_path / "a.safetensors", pipeline, update)
    edit = ImagicEdit.load(tmp_path / "a.safetensors", pipeline)
    assert not [warning for warning in recwarn if "was tuned on" in str(warning.message)]
    # The same network, with what the host makes of its weights.
    tuned = build(name)
    network = family_of(tuned).network
    for layer, place in places(family_of(tuned)).items():
        theirs = f"lora_unet_{place.layer.replace('.', '_')}"
        for kind, suffix in (("weight", "diff"), ("bias", "diff_b")):
            change = update.get(f"{theirs}.{suffix}")
            if kind == "weight" and f"{theirs}.alpha" in update:
                up, down = (update[f"{theirs}.lora_{part}.weight"].flatten(1) for part in ("up", "down"))
                change = up @ down
            if change is not None:
                weight = network.get_parameter(f"{layer}.{kind}")
                weight.data += place.of(change).view_as(weight)
    arguments = []
    hook = family.network.register_forward_hook(
        lambda _, args, kwargs, output: arguments.append((args, kwargs, output)), with_kwargs=True
    )
    edit.sample(num_inference_steps=2, mask_image=np.ones((SIZE, SIZE)))
    hook.remove()
    args, kwargs, ours = arguments[-1]
    with torch.no_grad():
        theirs, base = network(*args, **kwargs).sample, family.network(*args, **kwargs).sample
    torch.testing.assert_close(ours.sample, theirs, rtol=1e-4, atol=1e-4)
    assert (base - theirs).abs().max() > 0.01
    for key, tensor in getattr(build(name), family.part).state_dict().items():
        assert torch.equal(tensor, family.network.state_dict()[key]), key


def test_a_small_picture_is_the_photo_only_where_the_photo_was_as_small(tmp_path):
    pipeline, path = build("Stable Diffusion 1"), tmp_path / "a.safetensors"
    update = update_of(family_of(pipeline), "LoRA")
    about = {"base": "model.ckpt", "settings": [{"node": "CLIPTextEncode", "text": "a brown dog"}], "size": [48, 96]}
    save(path, pipeline, update, about=about)
    with pytest.raises(edit_file.NotAnEdit, match=r"^a.safetensors holds only a small picture of the photo: give the"):
        ImagicEdit.load(path, pipeline)
    with pytest.raises(ValueError, match=r"^image is 32 x 32, and a.safetensors was learned from 48 x 96 pixels"):
        ImagicEdit.load(path, pipeline, PHOTO)
    with pytest.raises(ValueError, match=r"^image is another photo than the one that a.safetensors was learned from: "):
        ImagicEdit.load(path, pipeline, PHOTO.transpose(Image.Transpose.ROTATE_90).resize((480, 960)))
    edit = ImagicEdit.load(path, pipeline, PHOTO.resize((480, 960)))
    assert edit.photo.shape[-2:] == (48, 24)
    assert repr(edit).startswith("ImagicEdit('a brown dog', 48 x 96 pixels, a LoRA of ")
    # What Python saves of it holds the photo.
    edit.save(tmp_path / "b.safetensors")
    again = ImagicEdit.load(tmp_path / "b.safetensors", pipeline)
    assert torch.equal(again.photo, edit.photo)
    assert again.update.keys() == edit.update.keys()
    # And so may a file of the nodes.
    save(path, pipeline, update, about=about, photo=edit.photo)
    assert torch.equal(ImagicEdit.load(path, pipeline).photo, edit.photo)


def test_the_photo_is_known_again_where_the_node_cut_off_its_edges(tmp_path):
    """As VAE Encode does with what is left of a photo over whole latent positions."""
    pipeline, path = build("Stable Diffusion 1"), tmp_path / "a.safetensors"
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 33, 3), dtype=np.uint8))
    kept = pictures.encode(pipeline, photo.crop((0, 0, 32, 32)), 1)
    about = {"base": "model.ckpt", "settings": [], "size": photo.size}
    save(path, pipeline, update_of(family_of(pipeline), "LoRA"), about=about, photo=kept)
    assert torch.equal(ImagicEdit.load(path, pipeline, photo).photo, kept)
    with pytest.raises(ValueError, match=r"^image is another photo than the one"):
        ImagicEdit.load(path, pipeline, photo.transpose(Image.Transpose.ROTATE_90))


@pytest.mark.parametrize("name", ["SDXL", "SD3"])
def test_layers_that_wait_elsewhere_are_known_again(name, tmp_path, recwarn):
    pipeline = build(name)
    save(tmp_path / "a.safetensors", pipeline, update_of(family_of(pipeline), "LoRA"))
    network = cpu_offload(family_of(pipeline).network, torch.device("cpu"))
    assert all(weight.is_meta for weight in network.parameters())
    ImagicEdit.load(tmp_path / "a.safetensors", pipeline)
    assert not [warning for warning in recwarn if "was tuned on" in str(warning.message)]


def test_full_weights_are_not_saved_again(tmp_path):
    pipeline = build("Stable Diffusion 1")
    save(tmp_path / "a.safetensors", pipeline, update_of(family_of(pipeline), "full"))
    edit = ImagicEdit.load(tmp_path / "a.safetensors", pipeline)
    assert repr(edit).endswith("32 x 32 pixels, full weights for StableDiffusionPipeline)")
    with pytest.raises(ValueError, match=r"^This edit has full weights, which save does not write: copy the file that"):
        edit.save(tmp_path / "b.safetensors")


def test_the_guidance_that_flux_was_tuned_with_is_the_edits_own(tmp_path):
    pipeline, path = build("Flux dev"), tmp_path / "a.safetensors"
    update = update_of(family_of(pipeline), "LoRA")
    about = {"base": "flux.safetensors", "settings": [], "size": PHOTO.size, "optimized": {"guidance": 2.0}}
    save(path, pipeline, update, about=about)
    edit = ImagicEdit.load(path, pipeline)
    how = {"num_inference_steps": 1, "mask_image": np.ones((SIZE, SIZE)), "output_type": "latent"}
    assert torch.equal(edit.sample(**how), edit.sample(guidance_scale=2.0, **how))
    assert not torch.equal(edit.sample(**how), edit.sample(guidance_scale=3.5, **how))
    edit.save(tmp_path / "b.safetensors")
    assert ImagicEdit.load(tmp_path / "b.safetensors", pipeline).guidance_scale == 2.0


def test_the_strength_of_a_lora_is_its_alpha_over_its_rank(tmp_path):
    """As the host's own Train LoRA has it, whose names are of another layout."""
    pipeline, path = build("Stable Diffusion 1"), tmp_path / "a.safetensors"
    update = {
        "diffusion_model.middle_block.1.proj_in.lora_down.weight": torch.ones(2, 32, 1, 1),
        "diffusion_model.middle_block.1.proj_in.lora_up.weight": torch.ones(32, 2, 1, 1),
        "diffusion_model.middle_block.1.proj_in.alpha": torch.tensor(1.0),
    }
    save(path, pipeline, update)
    edit = ImagicEdit.load(path, pipeline)
    assert edit.update["mid_block.attentions.0.proj_in.lora_up.weight"].unique().tolist() == [0.5]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"update": {"lora_unet_no_layer.diff": torch.ones(2, 2)}},
            "was tuned on another kind of model, model.ckpt: load",
        ),
        (
            {"update": {"lora_unet_middle_block_1_proj_in.diff": torch.ones(2, 2)}},
            "The weights do not fit this model at mid_block.attentions.0.proj_in: load the model that was tuned.",
        ),
        ({"anchor": {"cross_attn": torch.ones(1, 7, 8)}}, "a.safetensors holds no text of this model: save it again."),
        (
            {"about": {"base": "", "size": PHOTO.size, "optimized": {"crop_w": 8}}},
            "a.safetensors was learned with crop_w in its conditioning, which diffusers is not told: tune with",
        ),
    ],
)
def test_what_has_no_place_is_refused_in_a_sentence(changes, sentence, tmp_path):
    pipeline, path = build("Stable Diffusion 1"), tmp_path / "a.safetensors"
    save(path, pipeline, **{"update": update_of(family_of(pipeline), "LoRA"), **changes})
    with pytest.raises(ValueError, match=sentence):
        ImagicEdit.load(path, pipeline)


def test_other_weights_of_the_same_kind_are_told(tmp_path):
    pipeline = build("SD3")
    save(tmp_path / "a.safetensors", pipeline, update_of(family_of(pipeline), "LoRA"))
    with torch.no_grad():
        for weight in pipeline.transformer.parameters():
            weight.mul_(1.1)
    with pytest.warns(UserWarning, match=r"^a.safetensors was tuned on model.ckpt, and this is another model\.$"):
        ImagicEdit.load(tmp_path / "a.safetensors", pipeline)
