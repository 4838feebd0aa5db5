"""All rows of the table."""

from .others import OTHERS
from .transformers import TRANSFORMERS
from .unets import UNETS

FAMILIES = [*UNETS, *TRANSFORMERS, *OTHERS]
