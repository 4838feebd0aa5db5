"""The command `imagic`: a table of subcommands, each a module that is imported when it is asked for.

A subcommand's module has

    add_arguments(parser: argparse.ArgumentParser) -> None
    check(options: argparse.Namespace) -> None                  # raises ValueError or OSError if it is misused
    run(options: argparse.Namespace) -> int                     # the exit status
    KEPT: str                                                   # if it goes on where it was stopped: how

and a docstring that its help starts with; if it likes, a USAGE in the place of the one with every option. What is heavy
it imports inside of `run`, so that its help comes at once, and what `check` refuses as well.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from .. import __version__, notices
from .help_text import Help

COMMANDS = {
    "edit": "edit one photo by a sentence",
    "apply": "draw from an edit that was saved: other strengths, seeds and sentences, no training",
    "batch": "edit many photos, from a table of photos and sentences",
    "bench": "measure edits on TEdBench or PIE-Bench",
}
USAGE = "imagic COMMAND ... (imagic COMMAND --help tells more)"
STATUSES = """exit status:
  0    done
  1    the work failed
  2    the command cannot be followed: an option or a name in it is wrong; nothing was begun
  3    batch and bench: done, but for some rows or pairs
  130  stopped by Ctrl-C"""
# Exit statuses. A subcommand may have further ones of its own.
DONE, FAILED, MISUSED, STOPPED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, see `STATUSES`.

    Args:
        arguments: of the command line; default: `sys.argv`'s.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # names of files hold what not every terminal can show
        stream.reconfigure(errors="backslashreplace")
    if not arguments or arguments[0] not in COMMANDS:
        return _explain(arguments)
    name, *rest = arguments
    command = import_module(f".{name}", __name__)
    parser = argparse.ArgumentParser(
        f"imagic {name}",
        usage=getattr(command, "USAGE", None),
        description=command.__doc__,
        formatter_class=Help,
    )
    command.add_arguments(parser)
    options = parser.parse_args(rest)
    kept = getattr(command, "KEPT", "")
    try:
        try:
            command.check(options)
        except (ValueError, OSError) as error:
            return _ended(MISUSED, str(error))
        with notices.plain():
            return command.run(options)
    except ModuleNotFoundError as error:
        return _ended(FAILED, f"{error.name} is missing: install it with pip.")
    except ImportError as error:
        return _ended(FAILED, str(error))
    except (ValueError, OSError) as error:  # whose words are a sentence for the user
        return _ended(FAILED, f"{error} {kept}")
    except RuntimeError as error:
        if "out of memory" not in str(error):  # as CUDA's, ROCm's and Apple's all say
            raise
        return _ended(FAILED, f"The memory of the device is too small: {_smaller(options)}.")
    except KeyboardInterrupt:
        return _ended(STOPPED, f"stopped. {kept}")


def _ended(status: int, sentence: str) -> int:
    """Tell why, on a line of its own: on a terminal a line of progress may stand unfinished."""
    print(f"{chr(10) * sys.stderr.isatty()}imagic: {sentence.strip()}", file=sys.stderr)
    return status


def _smaller(options: argparse.Namespace) -> str:
    """What of a command's own options takes less memory than those that were given."""
    chosen = vars(options)
    offload = {"none": "--offload model", "model": "--offload sequential"}.get(chosen.get("offload", ""))
    trains = chosen.get("gradient_checkpointing") is False and not chosen.get("instant")
    tries = [offload, trains and "--gradient-checkpointing", "size" in chosen and "a smaller --size"]
    *others, last = [each for each in tries if each] or ["a smaller model"]
    return f"try {', '.join(others)} or {last}" if others else f"try {last}"


def _explain(arguments: list[str]) -> int:
    """What there is, for `--help` and for whoever names no command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        "imagic",
        usage=USAGE,
        description="Edit a photo by one sentence (Imagic, arXiv 2210.09276).\n\ncommands:\n" + "\n".join(lines),
        epilog=STATUSES,
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"imagic {__version__}")
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    parser.parse_args(arguments)
    return MISUSED
