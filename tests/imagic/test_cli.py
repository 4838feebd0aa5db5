"""The command, run for real with the demo model."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imagic.cli import COMMANDS, main
from imagic.diffusers import ImagicEdit, tuning
from imagic.diffusers.demo_words import MODEL

from .pipelines import build
from .test_photo import display_p3

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "demo" / "photo.png"
OLD = ROOT / "tests" / "imagic" / "edits" / "version_1.safetensors"
CAPTION, TARGET = "a brown dog sitting in the snow", "a brown dog sitting in the snow wearing a hat"
CROWN = "a brown dog sitting in the snow wearing a crown"
DEMO = "--model", "demo"
QUICK = *DEMO, "--num-inference-steps", "2"
SMALL = "--size", 64
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
    # The drawn region is 8 pixels of the model's a position: its squares must not show as straight cuts.
    edges = np.abs(np.diff((changed > 0).astype(int), axis=1)).sum(0)
    assert edges.max() < 480 / 8


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


BROKEN = b"{not a safetensors file"
EDIT = "edit", PHOTO, TARGET


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("edit", PHOTO, "  ", *DEMO), "The sentence is empty: say what the finished photo shows."),
        (("apply", "dog.safetensors", "", *DEMO), "The sentence is empty: say what the finished photo shows."),
        (("edit", "none.jpg", TARGET, *DEMO), "There is no photo 'none.jpg': check its path."),
        ((*EDIT, *DEMO, "-o", "a.txt"), "'a.txt' is no name of a picture: end it with .png, .jpg or .webp."),
        ((*EDIT, *DEMO, "-o", "no/a.png"), "The folder 'no' is not there: make it first."),
        ((*EDIT, *DEMO, "-o", "a.xbm"), "'a.xbm' is no name of a picture: end it with .png, .jpg or .webp."),
        ((*EDIT, *DEMO, "--save-edit", "."), "'.' is a folder: add a file's name."),
        ((*EDIT, *DEMO, "--save-edit", "own.png"), "'own.png' is no name of an edit file: end it with .safetensors."),
        (("edit", "own.png", TARGET, *DEMO), "'own-edited.png' is there already: name the new picture with -o."),
        (("apply", "own.safetensors", *DEMO), "'own-edited.png' is there already: name the new picture with -o."),
        ((*EDIT, *DEMO, "--caption", " "), "--caption is empty: say what the photo shows now."),
        ((*EDIT, *DEMO, "--instant", ""), "--instant is empty: say what the photo shows now."),
        ((*EDIT, *DEMO, "--instant", CAPTION, "--caption", CAPTION), "--instant has a caption of its own: leave out"),
        ((*EDIT, "--model", ""), "model is empty: name a diffusers folder, a file, an id of the hub, or demo."),
        (("edit", "empty", TARGET, *DEMO), "'empty' is a folder: name one photo, or use imagic batch for many."),
        ((*EDIT, "--model", "bundled"), "model is the folder of the demo model: write demo in its place."),
        (("edit", "own.png", TARGET, *DEMO, "-o", "own.png"), "'own.png' is the photo itself: choose another name for"),
        ((*EDIT, *DEMO, "--instant", CAPTION, "--save-edit", "e"), "--instant learns nothing that --save-edit could"),
        ((*EDIT, *DEMO, "--strength", "9"), "--strength is 9: set it between -2 and 3."),
        ((*EDIT, *DEMO, "--threshold", "1"), "--threshold is 1: set it between 0 and 0.95."),
        ((*EDIT, *DEMO, "--seed", "-1"), "--seed is -1: set it between 0 and 18446744073709551615."),
        ((*EDIT, *DEMO, "--embedding-steps", "0"), "--embedding-steps is 0: set it between 1 and 10000."),
        ((*EDIT, *DEMO, "--size", "4"), "--size is 4: set it between 8 and 8192."),
        *(
            (
                (*EDIT, *DEMO, "--device", device),
                f"device is '{device}', which this machine does not have: set it to auto",
            )
            for device in ("abacus", "meta", "hpu", "cuda:99", "privateuseone", "")
        ),
        ((*EDIT, *DEMO, "--device", "cpu", "--offload", "model"), "offload is 'model', which needs a GPU, and this"),
        ((*EDIT, "--model", "empty"), "model is the folder 'empty', which has no model_index.json: name its parent."),
        (
            (*EDIT, "--model", "text.jpg"),
            "model is the file 'text.jpg': name a .safetensors checkpoint, a diffusers folder",
        ),
        ((*EDIT, "--model", "no.safetensors"), "model is 'no.safetensors': there is no such file."),
        (("apply", "none.safetensors", *DEMO), "There is no file 'none.safetensors': check its path."),
    ],
)
def test_a_wrong_option_or_name_is_one_sentence_before_anything_is_imported(arguments, sentence, capsys, monkeypatch):
    Path("empty").mkdir()
    Path("bundled").symlink_to(MODEL)
    Path("own-edited.png").touch()
    Path("own.safetensors").touch()
    for name in ("text.jpg", "text.safetensors"):
        Path(name).write_bytes(BROKEN)
    Image.open(PHOTO).save("own.png")
    monkeypatch.setitem(sys.modules, "imagic.diffusers", None)  # which then cannot be imported, nor diffusers by it
    assert imagic(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"imagic: {sentence}")
    assert line.endswith(".")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("edit", "text.jpg", TARGET, *DEMO), "'text.jpg' is no picture that can be read: convert it to PNG or JPEG."),
        ((*EDIT, "--model", "no/such"), "model is 'no/such': no such folder is here, and the Hugging Face hub does"),
        ((*EDIT, "--model", "text.safetensors"), "text.safetensors is damaged or no safetensors file: download it"),
        (("apply", "text.safetensors", *DEMO), "text.safetensors is damaged or incomplete: copy or save it again."),
    ],
)
def test_work_that_fails_is_one_sentence_and_another_exit_status(arguments, sentence, capsys):
    for name in ("text.jpg", "text.safetensors"):
        Path(name).write_bytes(BROKEN)
    assert imagic(*arguments) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f"imagic: {sentence}")
    assert last.endswith(".")


REFUSED_AT_ONCE = """
import sys
from imagic.cli import main
status = main(sys.argv[1:])
print(status, *({"torch", "diffusers", "transformers"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        (*EDIT, *DEMO, "--strength", "9"),
        (*EDIT, *DEMO, "--embedding-steps", "0"),
        (*EDIT, "--model", "no.safetensors"),
        ("apply", "none.safetensors", *DEMO),
        ("batch", "rows.csv", "out", *DEMO, "--tuning-steps", "0"),
        ("batch", "none.csv", "out", *DEMO),
        ("bench", "tedbench", "--data", "none", *DEMO),
    ],
)
def test_a_wrong_option_or_name_is_refused_before_pytorch_is_imported(arguments):
    """In a tenth of a second, where PyTorch and diffusers take several."""
    Path("rows.csv").write_text("photo,sentence\na.png,a dog\n")
    command = [sys.executable, "-c", REFUSED_AT_ONCE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.stdout == "2\n", done.stderr


def test_the_version_is_that_of_the_pack(capsys):
    with pytest.raises(SystemExit) as stopped:
        imagic("--version")
    assert stopped.value.code == 0
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert capsys.readouterr().out == f"imagic {version}\n"


def test_a_name_that_the_terminal_cannot_show_is_written_in_another_way(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", narrow)
    assert imagic("edit", PHOTO, TARGET, "--instant", CAPTION, *QUICK, "-o", "caf\u00e9.png") == 0
    narrow.flush()
    assert narrow.buffer.getvalue() == b"caf\\xe9.png\n"


@pytest.mark.parametrize(
    "arguments", [(), ("paint",), ("edit",), ("edit", PHOTO, TARGET), (*EDIT, *DEMO, "--dtype", "1")]
)
def test_a_command_that_cannot_be_read_is_misused(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        imagic(*arguments)
    assert stopped.value.code == 2
    assert "imagic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((*EDIT, *DEMO), "try --offload model, --gradient-checkpointing or a smaller --size."),
        ((*EDIT, *DEMO, "--instant", CAPTION, "--offload", "model"), "try --offload sequential or a smaller --size."),
        ((*EDIT, *DEMO, "--instant", CAPTION, "--offload", "sequential"), "try a smaller --size."),
        (("apply", OLD, *DEMO, "-o", "new.png"), "try --offload model."),
        (("apply", OLD, *DEMO, "-o", "new.png", "--offload", "sequential"), "try a smaller model."),
    ],
)
def test_too_little_memory_is_a_sentence_with_options_that_the_command_has(arguments, sentence, capsys, monkeypatch):
    def load(options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("imagic.devices.device_of", lambda *_: torch.device("cuda"))  # which --offload needs
    monkeypatch.setattr("imagic.cli.arguments.load", load)
    assert imagic(*arguments) == 1
    assert capsys.readouterr().err == f"imagic: The memory of the device is too small: {sentence}\n"


def test_another_error_of_pytorch_is_not_hidden(monkeypatch):
    def load(options):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("imagic.cli.arguments.load", load)
    with pytest.raises(RuntimeError, match="shapes differ"):
        imagic(*EDIT, *DEMO)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_tells_every_exit_status(command, capsys):
    with pytest.raises(SystemExit):
        imagic(command, "--help")
    last = " ".join(capsys.readouterr().out.partition("exit status: ")[2].partition("\n\n")[0].split())
    for status in ("0 ", "1 the work failed", "2 misused: an option or a name is wrong", "130 stopped by Ctrl-C"):
        assert status in last


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
