"""Where a model runs. Only PyTorch is asked, which is sooner imported than diffusers."""

import torch

from . import checks

OFFLOADS = ("none", "model", "sequential")


def device_of(name: str, offload: str = "none") -> torch.device:
    """The device of a name.

    Args:
        name: "auto" for the best there is, else PyTorch's: "cuda", "cuda:1", "mps", "cpu".
        offload: one of `OFFLOADS`, see `imagic.diffusers.load_pipeline`.

    Raises:
        ValueError: it is not here, or has no memory of its own to offload from.
    """
    checks.choice("offload", offload, OFFLOADS)
    place = _best() if checks.text("device", name) == "auto" else _named(name)
    if offload != "none" and place.type == "cpu":
        raise ValueError(f"offload is {offload!r}, which needs a GPU, and this runs on the CPU: leave it at none.")
    return place


def _named(name: str) -> torch.device:
    try:
        place = torch.device(name)
        torch.zeros(1, device=place).item()  # "meta" holds nothing
    # AssertionError, ImportError, NotImplementedError: of builds of PyTorch without it.
    except (RuntimeError, AssertionError, ImportError, NotImplementedError):
        raise ValueError(
            f"device is {checks.shown(name)}, which this machine does not have: set it to "
            f"{', '.join(['auto', *_here()])} or cpu."
        ) from None
    return place


def _here() -> list[str]:
    """Devices of this machine, beside its CPU."""
    found = [("cuda", torch.cuda), ("xpu", torch.xpu), ("mps", torch.backends.mps)]
    return [name for name, kind in found if kind.is_available()]


def _best() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
