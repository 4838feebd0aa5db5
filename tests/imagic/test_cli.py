"""The command, run for real with the demo model."""

import io
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy import ndimage

from imagic.cli import main
from imagic.diffusers import ImagicEdit, tuning

from .pipelines import build
from .test_photo import display_p3

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "demo" / "photo.png"
CAPTION, TARGET = "a brown dog sitting in the snow", "a brown dog sitting in the snow wearing a hat"
CROWN = "a brown dog sitting in the snow wearing a crown"
DEMO = "--model", "demo"
QUICK = *DEMO, "--num-inference-steps", "2"
SMALL = "--size", 64
EDIT = "edit", PHOTO, TARGET
SHORT = "--embedding-steps", "1", "--tuning-steps", "1"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def imagic(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def picture(path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_the_same_command_gives_the_same_bytes_and_another_seed_does_not(capsys):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert imagic("edit", PHOTO, TARGET, "--instant", CAPTION, *QUICK, "--seed", seed, "-o", f"{name}.png") == 0
    first, again, other = (Path(f"{name}.png").read_bytes() for name in "abc")
    assert first == again != other
    assert np.abs(picture("a.png") - picture(PHOTO)[..., :3]).max() > 60
    assert capsys.readouterr().out == "a.png\nb.png\nc.png\n"


def test_another_seed_is_another_picture_of_the_same_training():
    for name, seed in (("a", 3), ("b", 4)):
        files = "--save-edit", f"{name}.safetensors", "-o", f"{name}.png"
        assert imagic(*EDIT, *QUICK, *SHORT, *SMALL, "--seed", seed, *files) == 0
    first, other = (load_file(f"{name}.safetensors") for name in "ab")
    assert first.keys() == other.keys()
    assert all(torch.equal(first[name], other[name]) for name in first)
    assert Path("a.png").read_bytes() != Path("b.png").read_bytes()


def test_an_edit_that_was_saved_is_drawn_again_with_another_sentence_and_strength():
    assert imagic("edit", PHOTO, TARGET, *QUICK, *SHORT, "--save-edit", "dog.safetensors") == 0
    assert imagic("apply", "dog.safetensors", *QUICK, "--photo", PHOTO) == 0
    assert Path("photo-edited.png").read_bytes() == Path("dog-edited.png").read_bytes()
    assert imagic("apply", "dog.safetensors", CROWN, *QUICK, "-o", "crown.png") == 0
    assert imagic("apply", "dog.safetensors", *QUICK, "--strength", 0, "-o", "none.png") == 0
    for name in ("crown.png", "none.png"):
        assert np.abs(picture(name) - picture("dog-edited.png")).max() > 20


def test_an_edit_is_applied_to_its_own_photo_at_any_size_and_to_no_other(capsys):
    Image.open(PHOTO).convert("RGB").resize((300, 200)).save("wide.png")  # drawn at 160 x 104, by 2.5 % off
    assert imagic("edit", "wide.png", TARGET, *QUICK, *SHORT, "--save-edit", "dog.safetensors") == 0
    assert imagic("apply", "dog.safetensors", *QUICK, "--photo", "wide.png") == 0
    wide = Image.open("wide.png")
    wide.resize((150, 100)).save("small.jpg", quality=75)
    assert imagic("apply", "dog.safetensors", *QUICK, "--photo", "small.jpg", "-o", "small-edited.png") == 0
    wide.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("turned.png")
    assert imagic("apply", "dog.safetensors", *QUICK, "--photo", "turned.png", "-o", "other.png") == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last == "imagic: image is another photo than the one that dog.safetensors was learned from: give that one."
    assert imagic("apply", "dog.safetensors", *QUICK, "--photo", PHOTO, "-o", "other.png") == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("imagic: image is ")
    assert last.endswith(" pixels, another shape: crop it as it was there.")


@pytest.mark.parametrize(
    ("picture", "kept", "written"),
    [("a.png", "/sys/a.safetensors", "a.png"), ("/sys/a.png", "a.safetensors", "a.safetensors")],
)
def test_of_picture_and_edit_one_is_there_where_the_other_cannot_be_written(picture, kept, written, capsys):
    assert imagic("edit", PHOTO, TARGET, *QUICK, *SHORT, "-o", picture, "--save-edit", kept) == 1
    assert "cannot be written, since" in capsys.readouterr().err
    assert Path(written).stat().st_size


def test_a_caption_serves_the_sentence():
    assert imagic("edit", PHOTO, TARGET, "--caption", CAPTION, *QUICK, *SHORT, "--save-edit", "dog.safetensors") == 0
    assert imagic("apply", "dog.safetensors", TARGET, *QUICK, "--photo", PHOTO) == 0
    assert Path("photo-edited.png").read_bytes() == Path("dog-edited.png").read_bytes()


def test_the_photo_comes_back_at_its_own_size_upright_with_its_own_pixels():
    turned = Image.Exif()
    turned[0x0112] = 6  # a camera held upright
    scene = Image.open(PHOTO).convert("RGB").resize((600, 480)).rotate(90, expand=True)
    scene.save("side.png", exif=turned)
    assert imagic("edit", "side.png", TARGET, "--instant", CAPTION, *QUICK, "-o", "hat.png") == 0
    edit = Image.open("hat.png")
    assert edit.size == (600, 480)
    changed = np.abs(np.asarray(edit).astype(int) - np.asarray(scene.rotate(-90, expand=True))).max(-1)
    assert (changed == 0).mean() > 0.5
    assert changed.max() > 60
    # The drawn region is 8 pixels of the model's a position: its squares must not show as straight cuts. So it fades to
    # next to nothing, and where there is more than that its outline is not straight either.
    edges = np.abs(np.diff((changed > 1).astype(int), axis=1)).sum(0)
    assert edges.max() < 480 / 8
    outline = ndimage.binary_dilation(changed == 0) & (changed > 0)
    assert changed[outline].max() <= 4


def test_a_photo_in_display_p3_is_drawn_and_written_in_srgb():
    """Its colours are converted once, and the file does not tell to convert them again."""
    Image.new("RGB", (96, 64), (170, 130, 130)).save("phone.png", icc_profile=display_p3())
    assert imagic("edit", "phone.png", TARGET, *QUICK, *SHORT, "--save-edit", "e.safetensors", "--strength", 0) == 0
    assert imagic("apply", "e.safetensors", *QUICK, "--photo", "phone.png", "--strength", 0) == 0
    for name in ("phone-edited.png", "e-edited.png"):
        assert "icc_profile" not in Image.open(name).info
        kept = np.median(picture(name).reshape(-1, 3), axis=0)  # most pixels are the photo's own
        assert np.abs(kept - (179, 129, 130)).max() <= 2


def test_as_drawn_it_has_the_photos_shape_and_as_many_pixels_as_a_square_of_the_size():
    Image.open(PHOTO).convert("RGB").resize((300, 200)).save("wide.jpg")
    for size, options in ((128, ()), (64, ("--size", 64))):
        assert (
            imagic("edit", "wide.jpg", TARGET, "--instant", CAPTION, *QUICK, *options, "--as-drawn", "-o", "a.png") == 0
        )
        width, height = Image.open("a.png").size
        assert width % 8 == height % 8 == 0
        assert width / height == pytest.approx(3 / 2, rel=0.1)
        assert width * height == pytest.approx(size**2, rel=0.2)


def test_a_diffusers_folder_is_a_model():
    build("SDXL").save_pretrained("model")
    options = "--model", "model", "--num-inference-steps", 2, "--instant", "ab", "-o", "edit.webp"
    assert imagic("edit", PHOTO, "cd", *options) == 0
    assert Image.open("edit.webp").format == "WEBP"


def test_a_name_that_the_terminal_cannot_show_is_written_in_another_way(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", narrow)
    assert imagic("edit", PHOTO, TARGET, "--instant", CAPTION, *QUICK, "-o", "caf\u00e9.png") == 0
    narrow.flush()
    assert narrow.buffer.getvalue() == b"caf\\xe9.png\n"


def test_another_error_of_pytorch_is_not_hidden(monkeypatch):
    def load(options):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("imagic.cli.arguments.load", load)
    with pytest.raises(RuntimeError, match="shapes differ"):
        imagic(*EDIT, *DEMO)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_it_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    learn = tuning.optimize_embedding

    def stopped_soon(*arguments, **options):
        # Not before it learns: while modules are imported, finalizers may swallow an interrupt.
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        return learn(*arguments, **options)

    monkeypatch.setattr(tuning, "optimize_embedding", stopped_soon)
    assert imagic(*EDIT, *DEMO, "--embedding-steps", 5000) == 130
    assert capsys.readouterr().err.endswith("imagic: stopped.\n")
    assert list(tmp_path.iterdir()) == []


def test_the_guidance_that_is_asked_for_is_that_of_the_region(monkeypatch):
    """Flux takes it as an input, so its region depends on it."""
    asked, region = [], ImagicEdit.region

    def note(edit, *args, guidance_scale, **options):
        asked.append(guidance_scale)
        return region(edit, *args, guidance_scale=guidance_scale, **options)

    monkeypatch.setattr(ImagicEdit, "region", note)
    options = *QUICK, *SMALL, "--guidance-scale", 2
    assert imagic("edit", PHOTO, TARGET, "--instant", CAPTION, *options, "-o", "a.png") == 0
    Path("rows.csv").write_text(f"photo,sentence,caption\n{PHOTO},{TARGET},{CAPTION}\n")
    assert imagic("batch", "rows.csv", "out", "--instant", *options) == 0
    assert asked == [2, 2]
