"""What a command's terminal shows of warnings, its own and those of libraries."""

import logging
import os
import sys
import warnings
from pathlib import Path

import pytest
import transformers.utils.import_utils as asking

from imagic import notices
from imagic.cli import main
from imagic.diffusers.demo_words import Tokenizer

TORCHVISION = (
    "`CLIPImageProcessor` requires torchvision (not installed); falling back to `CLIPImageProcessorPil` for backward "
    "compatibility. Install torchvision to use the default backend."
)
UNKNOWN = (
    "The demo model does not know 'unicorn', 'hats!': use words such as dog, cat, rabbit, bird, blue, jumping, hat, "
)


@pytest.fixture
def heard():
    """What the loggers of libraries let through."""
    found, loggers = [], [logging.getLogger(name) for name in (*notices.USELESS, "diffusers.pipelines.any")]

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(record.getMessage())

    handler = Handler()
    for logger in loggers:
        logger.addHandler(handler)
    yield found
    for logger in loggers:
        logger.removeHandler(handler)


def test_what_nobody_can_act_on_is_left_out_and_all_else_is_not(heard):
    library, other = logging.getLogger(*notices.USELESS), logging.getLogger("diffusers.pipelines.any")
    with notices.plain():
        library.warning(TORCHVISION)
        library.warning("The model lacks weights.")
        library.error(TORCHVISION)
        other.warning("The input was truncated.")
    assert heard == ["The model lacks weights.", TORCHVISION, "The input was truncated."]
    library.warning(TORCHVISION)
    assert heard[3:] == [TORCHVISION]


@pytest.mark.skipif(
    int(asking.importlib.metadata.version("transformers").split(".")[0]) < 5, reason="says no such thing"
)
def test_transformers_still_says_it_in_these_words():
    for name, part in notices.USELESS.items():
        assert name == asking.__name__
        assert part in Path(asking.__file__).read_text()


def test_warnings_are_one_line_and_those_for_programmers_none(capsys):
    with warnings.catch_warnings():
        warnings.resetwarnings()
        with notices.plain():
            warnings.warn("a.safetensors was tuned\non another model.", stacklevel=1)
            warnings.warn("An argument is deprecated.", FutureWarning, stacklevel=1)
        assert capsys.readouterr().err == "imagic: a.safetensors was tuned on another model.\n"
        warnings.simplefilter("error")
        with notices.plain(), pytest.raises(FutureWarning):
            warnings.warn("An argument is deprecated.", FutureWarning, stacklevel=1)
        with pytest.raises(UserWarning):
            warnings.warn("Anything", stacklevel=1)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_on_a_terminal_a_warning_takes_the_place_of_a_line_that_is_not_ended(monkeypatch):
    ours, theirs = os.openpty()
    with open(theirs, "w") as terminal, open(ours, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        terminal.write(notices.over("1 of 12 done, 0 failed, 3 min left"))
        with notices.plain():
            warnings.warn("Look.", stacklevel=1)
        written = ""
        while not written.endswith("\n"):  # a terminal hands out as much as it has
            written += screen.read(2**16).decode()
    *_, shown = written.removesuffix("\r\n").split("\r")
    assert shown == f"imagic: Look.{' ' * 47}"


def test_words_that_the_demo_model_does_not_know_are_named_and_none_of_the_others():
    with pytest.warns(UserWarning, match=f"^{UNKNOWN}") as told:
        Tokenizer().tokenize("A unicorn and a dog, wearing Hats! A unicorn.".replace(" and", ""))
    assert len(told) == 1
    with pytest.warns(UserWarning, match="know 'b', 'c', 'd', 'e', 'f' and more: use"):
        Tokenizer().tokenize("a b c d e f g")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Tokenizer().tokenize("a pencil sketch of a blue Dog, wearing a hat.")
        Tokenizer().tokenize("")


def test_the_command_tells_them_in_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photo = Path(__file__).parents[2] / "demo" / "photo.png"
    quick = "--model", "demo", "--num-inference-steps", "1", "--instant", "a dog", "-o", "a.png", "--size", "64"
    assert main(["edit", str(photo), "a unicorn wearing hats!", *quick]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "does not know" in line]
    assert line.startswith(f"imagic: {UNKNOWN}")
