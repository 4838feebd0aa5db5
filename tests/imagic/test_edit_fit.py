"""Edit files with the right checksum that hold what no network takes: one sentence, before anything is drawn."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imagic import edit_file
from imagic.cli import main
from imagic.diffusers import EmbeddingSettings, ImagicEdit, TuningSettings, tune
from imagic.diffusers.families import family_of

from .pipelines import build
from .test_host_edit import PHOTO, update_of
from .test_host_edit import save as save_as_host

Change = Callable[[edit_file.Edit], Any]
NAMES = "Stable Diffusion 1", "SDXL", "SD3", "Flux dev", "Qwen-Image"


@functools.cache
def written(name: str) -> bytes:
    """A file that Python wrote."""
    pipeline = build(name)
    pipeline.set_progress_bar_config(disable=True)
    edit = tune(pipeline, PHOTO, "ab", embedding=EmbeddingSettings(steps=1), tuning=TuningSettings(steps=1))
    path = Path("a.safetensors")
    edit.save(path)
    return path.read_bytes()


def text(part: str, name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    def change(edit: edit_file.Edit) -> None:
        getattr(edit, part)[name] = make(getattr(edit, part)[name])

    return change


def photo(make: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    return lambda edit: setattr(edit, "photo", make(edit.photo))


def more(**told: Any) -> Change:
    return lambda edit: edit.about.update(told)


OF_ANOTHER_MODEL = {
    "a channel fewer": photo(lambda latent: latent[:, 1:]),
    "channels of another kind": photo(lambda latent: latent.repeat(1, 2, *[1] * (latent.ndim - 2))),
    "two frames": photo(lambda latent: torch.stack([latent.reshape(1, -1, *latent.shape[-2:])] * 2, 2)),
} | {
    f"{part}: {what}": text(part, "cross_attn", make)
    for part in ("optimized", "anchor")
    for what, make in {
        "narrower tokens": lambda tokens: tokens[..., 1:],
        "wider tokens": lambda tokens: tokens.repeat(1, 1, 2),
    }.items()
}
POOLED = {
    "no pooled text": lambda edit: edit.anchor.pop("pooled_output"),
    "a wider pooled text": text("anchor", "pooled_output", lambda pooled: pooled.repeat(1, 2)),
    "a pooled text of two axes more": text("optimized", "pooled_output", lambda pooled: pooled[None]),
    "two pooled texts": text("optimized", "pooled_output", lambda pooled: pooled.repeat(2, 1)),
}
PATCHES = {"an odd number of rows": photo(lambda latent: latent[..., 1:, :])}
MASKS = {
    "a mask of fewer tokens": lambda edit: edit.anchor.update(attention_mask=torch.ones(1, 3)),
    "masks of two texts": lambda edit: edit.anchor.update(attention_mask=torch.ones(2, 189)),
}
CASES = [
    *((name, what, change) for name in NAMES for what, change in OF_ANOTHER_MODEL.items()),
    *((name, what, change) for name in ("SDXL", "SD3", "Flux dev") for what, change in POOLED.items()),
    *((name, what, change) for name in ("SD3", "Flux dev", "Qwen-Image") for what, change in PATCHES.items()),
    *(("Qwen-Image", what, change) for what, change in MASKS.items()),
]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "what", "change"), CASES, ids=[f"{name}-{what}" for name, what, _ in CASES])
def test_what_is_of_another_model_is_refused(name, what, change):
    path = Path("a.safetensors")
    path.write_bytes(written(name))
    edit = edit_file.load(path)
    change(edit)
    edit_file.save(edit, path, as_lora=True)
    edit_file.check(path)  # which does not know the model
    with pytest.raises(
        edit_file.NotAnEdit, match=r"^a.safetensors holds no (photo|text) of this model: save it again\.$"
    ):
        ImagicEdit.load(path, build(name))


@pytest.mark.parametrize("change", OF_ANOTHER_MODEL.values(), ids=OF_ANOTHER_MODEL)
def test_so_it_is_of_files_of_the_nodes(change):
    pipeline, path = build("Stable Diffusion 1"), Path("a.safetensors")
    save_as_host(path, pipeline, update_of(family_of(pipeline), "LoRA"), photo=torch.zeros(1, 4, 16, 16))
    edit = edit_file.load(path)
    change(edit)
    edit_file.save(edit, path)
    with pytest.raises(
        edit_file.NotAnEdit, match=r"^a.safetensors holds no (photo|text) of this model: save it again\.$"
    ):
        ImagicEdit.load(path, pipeline)


TOLD = [
    *({part: {"guidance": value}} for part in ("optimized", "anchor") for value in ("x", -1, 101, True, 10**400)),
    *({"size": size} for size in ("x", [0, 32], [32], None, [32, 32, 32], {"a": 1}, [32.5, 32], [True, 1], [10**9, 1])),
    *({"settings": settings} for settings in ("x", 3, None, ["x"], {"a": 1}, [[]])),
    {"text": "\ud800"},
    {"text": None},
]


@pytest.mark.parametrize("told", TOLD, ids=lambda told: str(told)[:40])
def test_what_a_file_tells_of_itself_is_looked_at_before_a_model_is_loaded(told, monkeypatch, capsys):
    path = Path("a.safetensors")
    path.write_bytes(written("Stable Diffusion 1"))
    edit = edit_file.load(path)
    edit.about.update(told)
    with monkeypatch.context() as unchecked:
        unchecked.setattr(edit_file, "check_structure", lambda edit: None)
        edit_file.save(edit, path, as_lora=True)
    monkeypatch.setattr("imagic.cli.arguments.load", lambda options: pytest.fail("The model was loaded."))
    with pytest.raises(edit_file.NotAnEdit) as refused:
        edit_file.load(path)
    assert str(refused.value) == "a.safetensors is damaged or incomplete: copy or save it again."
    assert main(["apply", str(path), "--model", "demo", "-o", "a.png"]) == 2
    assert capsys.readouterr().err == f"imagic: {refused.value}\n"


def test_numbers_of_other_kinds_are_taken():
    """As other programs may write them."""
    pipeline, path = build("Stable Diffusion 1"), Path("a.safetensors")
    path.write_bytes(written("Stable Diffusion 1"))
    edit = edit_file.load(path)
    for part in (edit.optimized, edit.anchor, edit.update):
        part.update({name: tensor.half() for name, tensor in part.items()})
    edit.photo = edit.photo.double()
    edit.update = {name: tensor[..., None, None] if tensor.ndim else tensor for name, tensor in edit.update.items()}
    edit_file.save(edit, path, as_lora=True)
    edit = ImagicEdit.load(path, pipeline)
    assert edit.photo.dtype == torch.float32
    edit.sample(num_inference_steps=1)
