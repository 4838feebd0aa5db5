"""The photos of the example workflows, put where Load Image looks for them: a template then runs at first click."""

import logging
import shutil
import sys
from pathlib import Path

import folder_paths

FOLDER = Path(__file__).parents[2] / "example_workflows"


def place_photos_when_the_server_starts() -> None:
    """Not at import: only then is the input folder known that the host was started with. Without a server, nothing."""
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    app = getattr(server, "app", None)
    if app is None or app.frozen:
        return

    async def starting(_) -> None:
        place_photos()

    app.on_startup.append(starting)


def place_photos() -> None:
    """Copy those that are not there yet; what the user has under such a name stays."""
    folder = Path(folder_paths.get_input_directory())
    for photo in sorted(FOLDER.glob("*.png")):
        copy = folder / photo.name
        try:
            if copy.exists():
                continue
            unfinished = copy.with_suffix(".unfinished")
            shutil.copyfile(photo, unfinished)
            unfinished.replace(copy)
        except OSError as error:
            logging.warning("Imagic: the example photo %s could not be copied: %s", copy, error)
