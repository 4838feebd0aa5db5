"""What the host's CONDITIONING and MASK hold, as tensors the method works on."""

from torch import Tensor
from torch.nn import functional

from ..imagic.denoiser import Conditioning

# Tensors of an entry that are not what a text encoder made.
NOT_TEXT = {"concat_latent_image", "concat_mask", "concat_image", "mask", "t5xxl_weights"}


def text_tensors(tokens: Tensor, extras: dict) -> tuple[Conditioning, dict]:
    """Split an entry of a CONDITIONING into the tensors a text encoder made and everything else."""
    text = {
        name: value
        for name, value in extras.items()
        if isinstance(value, Tensor)
        and value.ndim > 1
        and name not in NOT_TEXT
        # A mask of tokens goes along, to be kept in step with them; it is not trained.
        and (value.is_floating_point() or name == "attention_mask")
    }
    fixed = {name: value for name, value in extras.items() if name not in text}
    return {"cross_attn": tokens, **text}, fixed


def region(mask: Tensor, samples: Tensor) -> Tensor:
    """A MASK [1, H, W] at the latent's resolution, [1, 1, ..., h, w].

    Raises:
        ValueError: there are several masks, or one that leaves nothing to change.
    """
    mask = mask.reshape(-1, 1, *mask.shape[-2:]).float().clamp(0, 1)
    if len(mask) != 1:
        raise ValueError(f"The region holds {len(mask)} masks: give a single one.")
    if not mask.any():
        raise ValueError("The region is empty, so nothing may change: draw the part to edit, or disconnect it.")
    mask = functional.interpolate(mask, size=tuple(samples.shape[-2:]), mode="area")
    return mask.view(1, *[1] * (samples.ndim - 3), *mask.shape[-2:])
