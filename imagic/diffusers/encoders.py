"""Encoders of pictures and texts that measure edits; with the pipelines, since transformers is imported here alone."""

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


def clip_similarity(folder: Path, device: str) -> Callable[[Image.Image, str], float]:
    """The cosine of a picture and a text by a CLIP of transformers, from a local folder."""
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(folder, local_files_only=True).to(device).eval()
    processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)

    @torch.no_grad()
    def similarity(picture: Image.Image, text: str) -> float:
        inputs = processor(text=[text], images=[picture], return_tensors="pt", padding=True, truncation=True)
        output = model(**inputs.to(device))
        return float(torch.nn.functional.cosine_similarity(output.image_embeds, output.text_embeds))

    return similarity


def dino_keys(folder: Path, device: str) -> Callable[[Tensor], Tensor]:
    """The keys [N, D] of all patches in the last layer of a DINO of transformers, for pixels [1, 3, H, W]."""
    from transformers import ViTModel

    model = ViTModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False).to(device).eval()
    # transformers 5 renamed it.
    layer = [module for name, module in model.named_modules() if name.endswith(("attention.key", ".k_proj"))][-1]
    kept: list[Tensor] = []
    layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))

    @torch.no_grad()
    def keys(pixels: Tensor) -> Tensor:
        kept.clear()
        model(pixels, interpolate_pos_encoding=True)
        return kept[0][0]

    return keys
