"""What the host's CONDITIONING and MASK hold, as tensors the method works on."""

from torch import Tensor
from torch.nn import functional

from ..imagic.denoiser import Conditioning

# Tensors of an entry that are not what a text encoder made.
NOT_TEXT = {"concat_latent_image", "concat_mask", "concat_image", "mask", "t5xxl_weights"}
# Known autoencoder factors, in pixels per latent position.
AUTOENCODERS = (8, 16, 32, 4, 2, 1)


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


def region(mask: Tensor, samples: Tensor, pixels: int = 8) -> Tensor:
    """A MASK [1, H, W] at the latent's resolution, [1, 1, ..., h, w].

    VAE Encode cuts off at both sides what is left of a photo over whole latent positions; from a mask of the photo's
    size the same is cut off. A mask of the photo's shape in another size is scaled.

    Args:
        pixels: of the photo to a latent position, as the model has it; a mask may fit others as well.

    Raises:
        ValueError: the mask is of another shape than the photo, or leaves nothing to change.
    """
    mask = mask.reshape(1, 1, *mask.shape[-2:]).float().clamp(0, 1)
    (height, width), (rows, columns) = mask.shape[-2:], samples.shape[-2:]
    if (factor := _pixels_per_position((height, width), (rows, columns), pixels)) is not None:
        top, left = height % factor // 2, width % factor // 2
        mask = mask[..., top : top + rows * factor, left : left + columns * factor]
    elif not rows / (columns + 1) < height / width < (rows + 1) / columns:
        raise ValueError(
            f"The region is {width} x {height} pixels and the photo's latent {columns} x {rows}, which is another "
            "shape: crop the mask as the photo was cropped."
        )
    if not mask.any():
        raise ValueError("The region is empty, so nothing may change: draw the part to edit, or disconnect it.")
    mask = functional.interpolate(mask, size=(rows, columns), mode="area")
    return mask.view(1, *[1] * (samples.ndim - 3), *mask.shape[-2:])


def _pixels_per_position(sides: tuple[int, int], positions: tuple[int, int], usual: int) -> int | None:
    """The factor by which a picture of these sides has so many whole latent positions, the usual one first; if any."""
    for factor in (usual, *AUTOENCODERS):
        if all(side // factor == count for side, count in zip(sides, positions, strict=True)):
            return factor
    return None
