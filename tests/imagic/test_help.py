"""The help on a terminal of eighty characters: every word of it, and no line that the terminal would break."""

from importlib import import_module

import pytest

from imagic.cli import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_wide_as_the_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    before, _, after = shown.partition("\nexamples:\n")
    assert all(len(line) < 80 for part in (before, after.partition("\n\n")[2]) for line in part.splitlines())
    told = import_module(f"imagic.cli.{command}").__doc__
    assert told.partition("\nexamples:\n")[2].partition("\n\n")[0] in shown  # to be copied as they are
    assert " ".join(told.split()) in " ".join(shown.split())


def test_an_entry_of_a_list_goes_on_below_its_text(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert (
        "  2    the command cannot be followed: an option or a name\n       in it is wrong; nothing was begun\n"
        in capsys.readouterr().out
    )
