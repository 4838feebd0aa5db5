"""The pictures of a sweep on one sheet."""

from ..imagic import checks
from . import inputs
from .contact_sheet import Cell, contact_sheet
from .pictures import to_image, to_pictures


class EditSheet:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Lays the pictures of a sweep out on one labelled sheet: the source, then a column for each eta and a row for "
        "each picture of a batch, the winner framed."
    )
    SEARCH_ALIASES = ["imagic", "xy plot", "contact sheet", "image grid", "compare eta"]
    INPUT_IS_LIST = True
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("sheet",)
    OUTPUT_TOOLTIPS = ("The sheet, to preview or save.",)
    FUNCTION = "lay_out"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "images": (
                    "IMAGE",
                    {
                        "tooltip": "The pictures of the sweep, from VAE Decode. A batch, as Repeat Latent Batch makes "
                        "it, becomes a column of several noises."
                    },
                ),
                "cell": (
                    "INT",
                    {
                        "default": 256,
                        "min": 64,
                        "max": 1024,
                        "step": 8,
                        "tooltip": "Longer side of each picture on the sheet, in pixels. 192-512.",
                    },
                ),
            },
            "optional": {
                "source": ("IMAGE", {"tooltip": "The photo, to come first."}),
                "eta": (
                    "FLOAT",
                    {
                        "forceInput": True,
                        "tooltip": "The eta of the pictures, from Interpolate Embedding, as labels.",
                    },
                ),
                "winner": (
                    "INT",
                    {
                        "forceInput": True,
                        "tooltip": "Number of the picture to frame, from Pick Edit: 1 is the first, counted eta by "
                        "eta and in a batch one by one; 0 is none.",
                    },
                ),
            },
        }

    @inputs.checked
    def lay_out(self, images, cell, source=None, eta=None, winner=None):
        size = cell[0]
        columns = [to_pictures(batch) for batch in images]
        number = winner[0] if winner else 0
        checks.integer("winner", number, 0, sum(map(len, columns)))
        labels = _labels(len(columns), eta)
        cells, count = [], 0
        for label, pictures in zip(labels, columns, strict=True):
            cells.append([])
            for place, picture in enumerate(pictures):
                count += 1
                text = f"{label}  #{place + 1}" if len(pictures) > 1 else label
                cells[-1].append(Cell(text, picture, count == number))
        if source:
            cells.insert(0, [Cell("source", to_pictures(source[0])[0])])
        height = max(map(len, cells))
        rows = [[column[row] if row < len(column) else None for column in cells] for row in range(height)]
        return (to_image(contact_sheet(rows, size)),)


def _labels(count: int, eta: list[float] | None) -> list[str]:
    if eta is None:
        return [f"{number}" for number in range(1, count + 1)]
    if len(eta) != count:
        raise ValueError(
            f"There are {count} pictures and {len(eta)} eta: connect the eta of the Interpolate Embedding "
            "from which the pictures were sampled."
        )
    return [f"eta {value:g}" if value else "eta 0, reconstruction" for value in eta]
