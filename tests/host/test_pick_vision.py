"""Pick Edit with image and text encoders of the host's own classes: small ones with random weights.

What encoders see that nobody trained is worth nothing, but it is the same for the same picture, and their pictures
and texts come by the host's own ways.
"""

import importlib
import json

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from demo.scenes import Scene, render
from demo.scenes.edits import draw_edits


@pytest.fixture(scope="module")
def edit():
    return next(each for each in draw_edits(1, seed=5) if each.kind == "background")


def image(scene: Scene) -> torch.Tensor:
    return torch.from_numpy(np.array(render(scene)))[None] / 255


def encoder(folder, projection: int):
    """A CLIP_VISION as Load CLIP Vision gives it, three layers deep."""
    config = {
        "hidden_act": "quick_gelu",
        "hidden_size": 32,
        "image_size": 224,
        "intermediate_size": 64,
        "layer_norm_eps": 1e-5,
        "model_type": "clip_vision_model",
        "num_attention_heads": 2,
        "num_channels": 3,
        "num_hidden_layers": 3,
        "patch_size": 28,
        "projection_dim": projection,
    }
    path = folder / f"clip_vision_{projection}.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    model = importlib.import_module("comfy.clip_vision").ClipVisionModel(str(path))
    generator = torch.Generator().manual_seed(0)
    model.load_sd({name: torch.randn(weight.shape, generator=generator) / 5 for name, weight in model.get_sd().items()})
    return model


@pytest.fixture(scope="module")
def clip_vision(comfyui, studio, tmp_path_factory):
    return encoder(tmp_path_factory.mktemp("vision"), studio.text("a dog")[0][1]["pooled_output"].shape[1])


@pytest.fixture(scope="module")
def pick(studio, edit):
    def run(images, **changes):
        inputs = {"model": [studio.model], "vae": [studio.vae], "source": [image(edit.scene)], "images": images}
        inputs |= {"optimized": [studio.text(edit.source_caption)], "target": [studio.text(edit.target_caption)]}
        inputs |= {"eta": [float(number) for number in range(len(images))], "samples": [2]}
        with torch.inference_mode():
            return studio.nodes["ImagicPickEdit"]().pick(**inputs | changes)

    return run


def scores(answer) -> dict[int, tuple[float, float]]:
    """Alignment and fidelity, by eta."""
    found = {}
    for line in answer["result"][4].splitlines():
        name, _, rest = line.split(" ", 1)[1].partition(": alignment ")
        alignment, fidelity = rest.split(", fidelity ")
        found[int(name.removeprefix("eta "))] = float(alignment), float(fidelity)
    return found


def test_patches_see_the_photo_as_itself_and_a_moved_one_as_another(pick, edit, clip_vision):
    photo = image(edit.scene)
    answer = pick([photo, photo.roll(40, 2)], clip_vision=[clip_vision])
    found = scores(answer)
    assert found[0][1] == pytest.approx(1, abs=1e-3)
    assert found[1][1] < 0.98
    # Alignment is still the diffusion model's.
    assert answer["ui"]["imagic"][0]["forward_equivalents"] == 2 * 2 * 3


def test_a_pair_of_encoders_replaces_the_diffusion_model(pick, studio, edit, clip_vision):
    photo, truth = image(edit.scene), image(edit.truth)
    answer = pick([photo, truth], clip_vision=[clip_vision], clip=[studio.clip], text=[edit.target_caption])
    with torch.inference_mode():
        seen = [clip_vision.encode_image(each)["image_embeds"].float() for each in (photo, truth)]
        meant = studio.text(edit.target_caption)[0][1]["pooled_output"].float()
        expected = float(cosine_similarity(seen[1], meant) - cosine_similarity(seen[0], meant))
    assert answer["ui"]["imagic"][0]["forward_equivalents"] == 0
    assert scores(answer)[0][0] == pytest.approx(0, abs=1e-4)
    assert scores(answer)[1][0] == pytest.approx(expected, abs=1e-3)


def test_nothing_is_cut_off_a_wide_picture(pick, edit, clip_vision):
    """An encoder takes the square in the middle; a change at the side must be seen all the same."""
    wide = torch.cat([image(edit.scene)] * 2, 2)
    changed = wide.clone()
    changed[:, :, :48] = 0
    found = scores(pick([wide, changed], source=[wide], clip_vision=[clip_vision]))
    assert found[0][1] == pytest.approx(1, abs=1e-3)
    assert found[1][1] < 0.999


def test_what_does_not_go_together_is_refused_in_one_sentence(pick, studio, edit, clip_vision, tmp_path):
    photo = image(edit.scene)
    text = {"clip": [studio.clip], "text": [edit.target_caption]}
    for changes, message in (
        (text, r"A CLIP alone sees no pictures: connect the CLIP Vision model .*\.$"),
        ({**text, "clip_vision": [clip_vision], "text": [" "]}, r"The text for the CLIP is empty: write .*\.$"),
        ({**text, "clip_vision": [encoder(tmp_path, 24)]}, r"\(24\) were not trained together: connect .*\.$"),
    ):
        with pytest.raises(ValueError, match=message):
            pick([photo], **changes)


@pytest.fixture(params=["no projection in its file", "not projected"])
def apart_from_pictures(request, studio, monkeypatch):
    """Stable Diffusion 1.5's text encoder has no weights for it, newer hosts put zeros; Flux's leaves it out."""
    parts = list(studio.clip.cond_stage_model.modules())
    if request.param == "not projected":
        encoder = next(part for part in parts if hasattr(part, "return_projected_pooled"))
        monkeypatch.setattr(encoder, "return_projected_pooled", False)
        monkeypatch.setattr(encoder, "options_default", (*encoder.options_default[:2], False))
        yield
        return
    projection = next(part.text_projection for part in parts if hasattr(part, "text_projection"))
    weight = getattr(projection, "weight", projection)
    with torch.inference_mode():
        before = weight.clone()
        weight.zero_()
    yield
    with torch.inference_mode():
        weight.copy_(before)


def test_a_text_encoder_that_is_not_compared_with_pictures_is_refused(
    pick, studio, edit, clip_vision, apart_from_pictures
):
    with pytest.raises(ValueError, match=r"encoder cannot be compared with pictures: connect the CLIP of an SDXL"):
        pick([image(edit.scene)], clip_vision=[clip_vision], clip=[studio.clip], text=[edit.target_caption])


def test_the_demo_models_pooled_text_is_one_of_its_tokens(studio):
    """It has no projection, and what hosts leave in theirs may be anything."""
    (tokens, extras) = studio.text("a blue cat sitting on the grass")[0]
    distances = (tokens[0].float() - extras["pooled_output"].float()).abs().amax(-1)
    assert distances.min() < 1e-2 < distances.max()
