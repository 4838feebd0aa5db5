"""Checks what a user wired in, before any work: one sentence that says what to change."""

import torch
from torch import Tensor

from ..imagic.denoiser import Conditioning
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


def photo(latent: dict, model_channels: int) -> Tensor:
    """The LATENT's samples, [1, C, ...].

    Raises:
        ValueError: there is no latent, several, one of another model, or one with NaN.
    """
    samples = latent.get("samples") if isinstance(latent, dict) else None
    if not isinstance(samples, Tensor) or samples.ndim not in (4, 5) or samples.numel() == 0:
        raise ValueError("The latent is empty or not a picture: connect VAE Encode with the photo to edit.")
    if len(samples) != 1:
        raise ValueError(
            f"The latent holds {len(samples)} pictures, and Imagic edits one at a time: "
            "pick one with Latent From Batch or load a single image."
        )
    if samples.ndim == 5 and samples.shape[2] != 1:
        raise ValueError(f"The latent holds {samples.shape[2]} frames, and Imagic edits a picture: give it one frame.")
    if samples.shape[1] != model_channels:
        raise ValueError(
            f"The latent has {samples.shape[1]} channels but the model works on {model_channels}: "
            "encode the photo with the VAE that belongs to this model."
        )
    if not torch.isfinite(samples).all():
        raise ValueError("The latent holds NaN or infinite values: encode the photo again, with the VAE in fp32.")
    if latent.get("noise_mask") is not None:
        raise ValueError("The latent carries a mask: connect VAE Encode directly, and mask when sampling.")
    return samples


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


def single_entry(conditioning: list) -> tuple[Conditioning, dict]:
    """The text tensors of a CONDITIONING with one entry, and everything else in it.

    Raises:
        ValueError: it is empty, has several entries, is not from a text encoder, or acts on a part of the picture only.
    """
    entries = list(conditioning or [])
    if not entries or not isinstance(entries[0][0], Tensor) or entries[0][0].numel() == 0:
        raise ValueError("The conditioning is empty: connect CLIP Text Encode with the text.")
    if len(entries) > 1:
        raise ValueError(
            f"The conditioning has {len(entries)} entries: connect CLIP Text Encode directly, "
            "and combine conditionings after Interpolate Embedding."
        )
    tokens, extras = entries[0]
    if tokens.ndim != 3 or not tokens.is_floating_point():
        raise ValueError(
            f"The conditioning is {list(tokens.shape)}, not tokens of a text: connect CLIP Text Encode "
            "of the same checkpoint."
        )
    if len(tokens) != 1:
        raise ValueError(f"The conditioning holds {len(tokens)} texts in one batch: encode a single text.")
    if not torch.isfinite(tokens).all():
        raise ValueError("The conditioning holds NaN or infinite values: run the text encoder in fp32.")
    for key, what in REGIONAL.items():
        if extras.get(key) is not None:
            raise ValueError(
                f"The conditioning carries {what}: connect CLIP Text Encode directly, and add {what} "
                "after Interpolate Embedding."
            )
    return text_tensors(tokens, extras)


def within(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError unless low <= value <= high. The graph editor enforces it too, scripts do not."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value:g}: set it between {low:g} and {high:g}.")


def among(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(choices)}.")
