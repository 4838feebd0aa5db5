"""What the papers report of an edit, by the libraries that they use. What is missing is named, the rest is measured.

Whole picture: CLIP score with the target (arXiv 2104.08718), LPIPS to the photo (1801.03924), structure distance (DINO
keys' self-similarity, Splice, 2201.00424). Outside of the mask, where there is one, as in PIE-Bench (2310.01506): both
pictures are black inside of it, and PSNR, SSIM and LPIPS are of all that.
"""

import math
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

CLIP, DINO, LPIPS = "clip-vit-large-patch14", "dino-vitb8", "checkpoints/squeezenet1_1-b8a52dc0.pth"
SOURCES = {
    CLIP: "the model openai/clip-vit-large-patch14",
    DINO: "the model facebook/dino-vitb8",
    LPIPS: "torchvision's checkpoint of SqueezeNet 1.1",
}
# Name -> what it is, whether more is better, digits.
FIGURES = {
    "clip": ("CLIP score", True, 2),
    "clip_inside": ("CLIP score inside the mask", True, 2),
    "lpips": ("LPIPS to the photo", False, 3),
    "structure": ("structure distance × 1000", False, 2),
    "psnr_outside": ("PSNR outside the mask, dB", True, 2),
    "ssim_outside": ("SSIM outside the mask × 100", True, 2),
    "lpips_outside": ("LPIPS outside the mask × 1000", False, 2),
}
# Of two pictures that differ by 8-bit rounding alone. Equal ones count so, too: an infinite figure leaves no mean.
MOST_PSNR = 10 * math.log10(12 * 255**2)
DINO_SIDE = 224  # pixels of the shorter side
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which DINO was trained on


class Metrics:
    """All that can be measured with what is installed and in a folder of weights.

    Args:
        weights: a folder with CLIP/, DINO/ and LPIPS, see `SOURCES`; None measures what needs no weights.
    """

    def __init__(self, weights: Path | None, device: str = "cpu"):
        self.missing: list[str] = []
        self.stamp = [str(weights and weights.absolute()), device, self.missing]
        self._device = device
        self._clip = self._part(weights, CLIP, self._load_clip)
        self._dino = self._part(weights, DINO, self._load_dino)
        self._functional = self._load_torchmetrics()
        self._lpips = self._part(weights, LPIPS, self._load_lpips) if self._functional else None

    @torch.no_grad()
    def of(self, edit: Image.Image, photo: Image.Image, target: str, mask: Image.Image | None) -> dict[str, float]:
        """Figures of one edit.

        Args:
            edit, photo: RGB, of any size; the photo is brought to the edit's.
            mask: of any size, white where the edit belongs.
        """
        photo = photo.resize(edit.size, Image.Resampling.LANCZOS)
        found = {}
        if self._clip:
            found["clip"] = self._clip(edit, target)
        if self._dino:
            found["structure"] = 1000 * self._dino(edit, photo)
        first, second = (self._pixels(picture) for picture in (edit, photo))
        if self._lpips:
            found["lpips"] = self._lpips(first, second)
        if mask is None:
            return found
        inside = torch.from_numpy(np.asarray(mask.convert("L").resize(edit.size, Image.Resampling.NEAREST)) > 127)
        inside = inside.to(self._device, torch.float32)
        if self._clip and inside.any():
            part = (np.asarray(edit) * inside.cpu().numpy()[..., None]).astype(np.uint8)
            found["clip_inside"] = self._clip(Image.fromarray(part), target)
        if inside.all():
            return found
        first, second = (picture * (1 - inside) for picture in (first, second))
        if self._functional:
            psnr = float(self._functional.peak_signal_noise_ratio(first, second, data_range=1.0))
            found["psnr_outside"] = min(psnr, MOST_PSNR)
            similarity = self._functional.structural_similarity_index_measure(first, second, data_range=1.0)
            found["ssim_outside"] = 100 * float(similarity)
        if self._lpips:
            found["lpips_outside"] = 1000 * self._lpips(first, second)
        return found

    def _pixels(self, picture: Image.Image) -> Tensor:
        """[1, 3, H, W], 0..1."""
        values = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        return values[None].to(self._device, torch.float32) / 255

    def _part(self, weights: Path | None, name: str, load: Callable[[Path], Any]) -> Any:
        if weights is None or not (path := weights / name).exists():
            where = "--weights" if weights is None else str(weights)
            self.missing.append(f"{name} ({SOURCES[name]}): put it into {where}.")
            return None
        return load(path)

    def _load_torchmetrics(self) -> Any:
        try:
            from torchmetrics.functional import image
        except ImportError:
            self.missing.append("torchmetrics: pip install 'imagic[bench]'.")
            return None
        return image

    def _load_clip(self, path: Path) -> Callable[[Image.Image, str], float]:
        from ..diffusers.encoders import clip_similarity

        similarity = clip_similarity(path, self._device)
        return lambda picture, text: 100 * max(0.0, similarity(picture, text))

    def _load_dino(self, path: Path) -> Callable[[Image.Image, Image.Image], float]:
        from ..diffusers.encoders import dino_keys

        keys = dino_keys(path, self._device)
        mean, deviation = (torch.tensor(values, device=self._device).view(3, 1, 1) for values in (MEAN, DEVIATION))

        def similarity(picture: Image.Image) -> Tensor:
            """Of every patch with every other, [N, N]."""
            pixels = self._pixels(picture)
            scale = DINO_SIDE / min(pixels.shape[2:])
            size = [round(scale * side) for side in pixels.shape[2:]]
            pixels = functional.interpolate(pixels, size, mode="bilinear", antialias=True)
            found = functional.normalize(keys((pixels - mean) / deviation), dim=-1)
            return found @ found.T

        return lambda one, other: float(functional.mse_loss(similarity(one), similarity(other)))

    def _load_lpips(self, path: Path) -> Callable[[Tensor, Tensor], float]:
        # Its public class lets torchvision read the checkpoint, which would run code that somebody put into it.
        from torchmetrics.functional.image.lpips import _NoTrainLpips

        measure = _NoTrainLpips(net="squeeze", pnet_rand=True)
        try:
            trained = torch.load(path, map_location="cpu", weights_only=True)
            for part in measure.net.slices:
                part.load_state_dict({name: trained[f"features.{name}"] for name in part.state_dict()})
        except (UnpicklingError, EOFError, RuntimeError, KeyError, TypeError):
            raise ValueError(f"{path} is not {SOURCES[LPIPS]}: download it again.") from None
        measure.to(self._device).eval()
        return lambda one, other: float(measure(2 * one - 1, 2 * other - 1))
