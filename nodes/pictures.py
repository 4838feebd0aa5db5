"""IMAGE tensors as Pillow pictures and back."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_pictures(images: Tensor) -> list[Image.Image]:
    """An IMAGE [N, H, W, C] in 0..1 as RGB pictures."""
    pixels = (rgb(images).float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return [Image.fromarray(picture) for picture in pixels]


def rgb(images: Tensor) -> Tensor:
    """An IMAGE [N, H, W, C], C being 1, 3 or 4, as [N, H, W, 3]."""
    return images[..., :3].expand(*images.shape[:-1], 3)


def to_image(picture: Image.Image) -> Tensor:
    """A picture as an IMAGE [1, H, W, 3] in 0..1."""
    return torch.from_numpy(np.array(picture.convert("RGB"), dtype=np.float32))[None] / 255
