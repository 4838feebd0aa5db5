"""Keep Photo as the host at hand can do it."""

import importlib.util

from . import legacy

if importlib.util.find_spec("comfy.patcher_extension") is None:  # March 2024
    keep_photo, keeps_photo = legacy.keep_photo, legacy.keeps_photo
else:
    from .keeping import keep_photo, keeps_photo

__all__ = ["keep_photo", "keeps_photo"]
