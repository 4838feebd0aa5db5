"""What the command refuses, in which words, how soon and with which exit status."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from imagic.cli import COMMANDS
from imagic.diffusers.demo_words import MODEL

from .test_cli import CAPTION, DEMO, EDIT, PHOTO, ROOT, TARGET, imagic

OLD = ROOT / "tests" / "imagic" / "edits" / "version_1.safetensors"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


BROKEN = b"{not a safetensors file"


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
        (("apply", "text.safetensors", *DEMO), "text.safetensors is damaged or incomplete: copy or save it again."),
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


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_tells_every_exit_status(command, capsys):
    with pytest.raises(SystemExit):
        imagic(command, "--help")
    last = " ".join(capsys.readouterr().out.partition("exit status: ")[2].partition("\n\n")[0].split())
    for status in ("0 ", "1 the work failed", "2 misused: an option or a name is wrong", "130 stopped by Ctrl-C"):
        assert status in last
