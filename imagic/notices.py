"""What is said on the terminal of a command and its workers: a line each, and nothing that its user cannot act on."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Of a library's logger, what is left out. Pictures are read by Pillow here, whatever else is installed.
USELESS = {"transformers.utils.import_utils": "requires torchvision (not installed); falling back to"}
FOR_PROGRAMMERS = FutureWarning, DeprecationWarning, PendingDeprecationWarning
LONGEST = 500  # characters
PROGRESS = 60  # characters of a line of progress: none of a longer one stay behind another


@contextmanager
def plain() -> Iterator[None]:
    """Inside, warnings are one line. Filters that the user has set (-W, PYTHONWARNINGS) come before those here."""
    filters = {name: _without(part) for name, part in USELESS.items()}
    with warnings.catch_warnings():
        for kind in FOR_PROGRAMMERS:
            warnings.simplefilter("ignore", kind, append=True)
        warnings.showwarning = _show
        for name, useful in filters.items():
            logging.getLogger(name).addFilter(useful)
        try:
            yield
        finally:
            for name, useful in filters.items():
                logging.getLogger(name).removeFilter(useful)


def over(line: str) -> str:
    """A line for a terminal, in the place of one that was not ended."""
    return f"\r{line:{PROGRESS}}"


def _without(part: str) -> logging.Filter:
    """A filter of what has these words in it; errors pass whatever they say."""

    class Useful(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return record.levelno > logging.WARNING or part not in record.getMessage()

    return Useful()


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    from tqdm import tqdm

    from .checks import one_line

    line = f"imagic: {one_line(str(message), LONGEST)}"
    # Above a progress bar, or in the place of a batch's line, if there is one.
    tqdm.write(f"{over(line) if sys.stderr.isatty() else line}\n", sys.stderr, end="")  # at once: workers write as well
