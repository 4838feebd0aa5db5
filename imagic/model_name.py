"""What may be named as a model, as far as its files tell. PyTorch is not imported: a wrong name is refused at once."""

from pathlib import Path

from . import checks

DEMO = "demo"
# A wheel has the demo model inside the package. In a clone it is where the nodes and its training have it.
_IN_WHEEL = Path(__file__).parent / "diffusers" / "demo_model"
DEMO_FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).parents[1] / "demo" / "model"
INDEX = "model_index.json"  # of a diffusers folder


def check(model: str, config: str | None = None) -> None:
    """Look at what a name stands for on this disk. What is not there may be an id of the Hugging Face hub.

    Args:
        model, config: see `imagic.diffusers.load_pipeline`.

    Raises:
        ValueError: it is no model.
    """
    path, shown = Path(checks.text("model", model)), checks.shown(model)
    if not model.strip():
        raise ValueError(f"model is empty: name a diffusers folder, a file, an id of the hub, or {DEMO}.")
    if config is not None and not Path(checks.text("config", config), INDEX).is_file():
        raise ValueError(f"config is {checks.shown(config)}, no diffusers folder: name one that has {INDEX}.")
    if model == DEMO:
        return
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise ValueError(f"model is {shown}: there is no such file.")
    elif path.is_file():
        raise ValueError(
            f"model is the file {shown}: name a .safetensors checkpoint, a diffusers folder, a model of the Hugging "
            f"Face hub, or {DEMO}."
        )
    elif path.is_dir() and path.samefile(DEMO_FOLDER):
        raise ValueError(f"model is the folder of the demo model: write {DEMO} in its place.")
    elif path.is_dir() and not (path / INDEX).is_file():
        raise ValueError(f"model is the folder {shown}, which has no {INDEX}: name its parent.")
