"""python -m imagic: the same command as `imagic`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
