"""How a command's help is laid out: as wide as the terminal, where its docstring is as wide as this code."""

import argparse
import re
import textwrap
from collections.abc import Iterator
from itertools import groupby

_ENTRY = re.compile(r" +\S+ {2,}(?=\S)")  # a name and a gap, before what is told of it


class Help(argparse.RawDescriptionHelpFormatter):
    """Fills the paragraphs of a description, and the entries of its lists. Examples stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(_filled(text.strip("\n"), width))


def _filled(text: str, width: int) -> Iterator[str]:
    for indented, lines in groupby(text.splitlines(), key=lambda line: line[:1] in ("", " ")):
        if not indented:
            yield textwrap.fill(" ".join(lines), width, break_on_hyphens=False)
            continue
        for line in lines:
            entry = _ENTRY.match(line)
            hanging = " " * len(entry[0]) if entry else ""
            yield textwrap.fill(line, width, subsequent_indent=hanging, break_on_hyphens=False) if entry else line
