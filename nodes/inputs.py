"""Checks what comes into a node, from a graph or a script: one sentence that says what to change, before any work.

`checked` goes by what a node declares in INPUT_TYPES, so that a widget's range stands once. What a node asks beyond an
input's type follows below.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from ..imagic import checks
from ..imagic.denoiser import Conditioning
from ..imagic.edit_fit import reads
from .sockets import SOCKETS, entries, subject
from .tensors import text_tensors

# Entries of a CONDITIONING that steer where or when it acts. Stage A would have to guess what they mean for a photo.
REGIONAL = {
    "area": "an area",
    "mask": "a mask",
    "control": "a ControlNet",
    "gligen": "GLIGEN boxes",
    "start_percent": "a timestep range",
    "hooks": "hooks",
}


def checked(run: Callable) -> Callable:
    """A node's function that checks each input as the node declares it before it runs.

    `photo` checks a LATENT, since it needs the model. The reader of a file checks its name.
    """
    signature = inspect.signature(run)

    @functools.wraps(run)
    def check_and_run(self, *args, **kwargs):
        values = signature.bind(self, *args, **kwargs).arguments
        for name, kind, options, required in _declared(type(self)):
            if not required and values.get(name) is None:
                values.pop(name, None)
            elif name in values:
                each = _all_of if getattr(self, "INPUT_IS_LIST", False) else _one_of
                values[name] = each(name, values[name], kind, options)
        return run(**values)

    return check_and_run


def _declared(node: type) -> Iterator[tuple[str, Any, dict, bool]]:
    """Name, type, options of every input of a node, and whether it must be there."""
    for part, inputs in node.INPUT_TYPES().items():
        for name, (kind, *options) in inputs.items() if part != "hidden" else ():
            if name not in getattr(node, "FILES", ()):
                yield name, kind, options[0] if options else {}, part == "required"


def _one_of(name: str, value: Any, kind: Any, options: dict) -> Any:
    if isinstance(kind, list):
        return checks.choice(name, value, kind)
    limits = {end: options[limit] for end, limit in (("low", "min"), ("high", "max")) if limit in options}
    match kind:
        case "INT":
            return checks.integer(name, value, **limits)
        case "FLOAT":
            return checks.number(name, value, **limits)
        case "BOOLEAN":
            return checks.flag(name, value)
        case "STRING":
            return checks.text(name, value)
    return SOCKETS[kind](name, value) if kind in SOCKETS else value


def _all_of(name: str, values: Any, kind: Any, options: dict) -> list:
    """Of a node that takes the values of every input as a list."""
    if not isinstance(values, list) or not values:
        raise ValueError(f"{name} is empty: connect a node that gives one or more.")
    return [_one_of(name, value, kind, options) for value in values]


def photo(latent: dict, model_channels: int, dimensions: int) -> Tensor:
    """The LATENT's samples, [1, C, ...].

    Args:
        dimensions: of the latents that the model works on, see `dimensions`.

    Raises:
        ValueError: there is no latent, several, one of another model, or one with NaN.
    """
    samples = latent.get("samples") if isinstance(latent, dict) else None
    if not isinstance(samples, Tensor) or samples.is_nested or samples.ndim not in (4, 5) or samples.numel() == 0:
        raise ValueError("The latent is empty or not a picture: connect VAE Encode with the photo to edit.")
    if not samples.is_floating_point():
        raise ValueError(f"The latent holds {samples.dtype} numbers: connect VAE Encode with the photo to edit.")
    if len(samples) != 1:
        raise ValueError(
            f"The latent holds {len(samples)} pictures, and Imagic edits one at a time: "
            "pick one with Latent From Batch or load a single image."
        )
    if samples.ndim > dimensions + 2:
        raise ValueError(
            f"The latent is {list(samples.shape)}, of a video model: encode the photo with the VAE of this model."
        )
    if samples.ndim < dimensions + 2:
        raise ValueError(
            f"The latent is {list(samples.shape)}, and this model has an axis for frames: encode the photo with "
            "the VAE of this model."
        )
    if samples.ndim == 5 and samples.shape[2] != 1:
        raise ValueError(f"The latent holds {samples.shape[2]} frames, and Imagic edits a picture: give it one frame.")
    if samples.shape[1] != model_channels:
        raise ValueError(
            f"The latent has {samples.shape[1]} channels but the model works on {model_channels}: "
            "encode the photo with the VAE that belongs to this model."
        )
    checks.finite("The latent", samples, "encode the photo again, with the VAE in fp32")
    if latent.get("noise_mask") is not None:
        raise ValueError("The latent carries a mask: connect VAE Encode directly, and mask when sampling.")
    return samples


def dimensions(model) -> int:
    """2 where MODEL's latents are [N, C, H, W], 3 where they are [N, C, T, H, W]. Old hosts know no others than 2."""
    return getattr(model.model.latent_format, "latent_dimensions", 2)


def trainable(model) -> None:
    """Raises ValueError unless MODEL makes a picture from noise and a text, as far as the host can be asked."""
    base = model.model
    config = base.model_config
    if "audio_model" in config.unet_config:
        raise ValueError("This model makes sound, not pictures: load a text-to-image model.")
    if base.model_type.name.startswith("IMG_TO_IMG"):
        raise ValueError("This model turns one picture into another in a single step: load a text-to-image model.")
    # The host's detectors and depth estimators come as MODEL too, without a latent format of their own.
    if type(base.latent_format).__name__ == "LatentFormat":
        raise ValueError("This model draws nothing: load a text-to-image model.")
    # Some families' text encoders only come as files of their own, and the host names none for these either; but what
    # has a picture encoder in that place reads a picture instead.
    reads_a_picture = getattr(type(config), "clip_vision_prefix", None) is not None
    if reads_a_picture and hasattr(type(config), "clip_target") and config.clip_target() is None:
        raise ValueError("This model reads a picture and no text: load a text-to-image model.")
    if getattr(base, "concat_keys", ()) or getattr(base, "inpaint_model", False):
        raise ValueError(
            "This is an inpainting model or one that animates a picture, which Imagic cannot tune: "
            "load its text-to-image base."
        )


def single_entry(conditioning: list, name: str = "conditioning") -> tuple[Conditioning, dict]:
    """The text tensors of a CONDITIONING with one entry, and everything else in it.

    Args:
        name: of the input, for the sentence.

    Raises:
        ValueError: it is empty, has several entries, is not from a text encoder, or acts on a part of the picture only.
    """
    what = subject(name)
    found = entries(name, conditioning)
    if len(found) > 1:
        raise ValueError(
            f"{what} has {len(found)} entries: connect CLIP Text Encode directly, "
            "and combine conditionings after Interpolate Embedding."
        )
    tokens, extras = found[0]
    if len(tokens) != 1:
        raise ValueError(f"{what} holds {len(tokens)} texts in one batch: encode a single text.")
    for key, part in REGIONAL.items():
        if extras.get(key) is not None:
            raise ValueError(
                f"{what} carries {part}: connect CLIP Text Encode directly, and add {part} after Interpolate Embedding."
            )
    return text_tensors(tokens, extras)


def readable(model, text: Conditioning) -> None:
    """Raises ValueError if the model is known to read tokens of another width. UNets say it, other networks do not."""
    config = model.model.model_config.unet_config
    width = None if "image_model" in config else config.get("context_dim")
    if isinstance(width, int) and not reads(text, {"cross_attn": width}):
        raise ValueError(
            f"The text's tokens are {text['cross_attn'].shape[-1]} wide but the model reads {width}: "
            "use the text encoder that belongs to this model."
        )
