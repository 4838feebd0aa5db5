"""Charts as pictures, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DOTS_PER_INCH = (8, 4.5), 120
NO_CHART = torch.zeros(1, 64, 64, 3)  # where a picture has to be given all the same


class ChartError(RuntimeError):
    """matplotlib is not installed."""


@contextmanager
def chart(title: str) -> Iterator[tuple[Axes, Callable[[], Tensor]]]:
    """Axes to draw on, and a function that gives the finished chart as an IMAGE [1, 540, 960, 3].

    Raises:
        ChartError: matplotlib is not installed.
    """
    # Only here: every node but Loss Chart works without it, and importing it takes a second.
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ChartError("Charts need matplotlib: install it with pip in ComfyUI's Python environment.") from None
    # Not pyplot, which keeps every figure and opens windows; and not the user's own style sheet.
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = Figure(INCHES, DOTS_PER_INCH, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot(title=title)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)

        def image() -> Tensor:
            canvas.draw()
            pixels = torch.frombuffer(bytearray(canvas.buffer_rgba()), dtype=torch.uint8)
            width, height = canvas.get_width_height()
            return pixels.view(1, height, width, 4)[..., :3].float() / 255

        yield axes, image
