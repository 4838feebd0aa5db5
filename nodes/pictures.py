"""IMAGE tensors as Pillow pictures and back."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_pictures(images: Tensor) -> list[Image.Image]:
    """An IMAGE [N, H, W, C] in 0..1 as RGB pictures.

    Raises:
        ValueError: it is not an IMAGE.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        raise ValueError("The pictures are not an IMAGE: connect VAE Decode or Load Image.")
    pixels = (images[..., :3].float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    if pixels.shape[-1] == 1:
        pixels = pixels.repeat(3, axis=-1)
    return [Image.fromarray(picture) for picture in pixels]


def to_image(picture: Image.Image) -> Tensor:
    """A picture as an IMAGE [1, H, W, 3] in 0..1."""
    return torch.from_numpy(np.array(picture.convert("RGB"), dtype=np.float32))[None] / 255
