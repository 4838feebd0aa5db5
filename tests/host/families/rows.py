"""All rows of the table."""

from .newer_transformers import NEWER_TRANSFORMERS
from .refused import REFUSED
from .transformers import TRANSFORMERS
from .unets import UNETS
from .video import VIDEO

FAMILIES = [*UNETS, *TRANSFORMERS, *NEWER_TRANSFORMERS, *VIDEO, *REFUSED]
