"""Crop and put back at 12 and 48 megapixels, and how near to an edit that was drawn at full size: tables for the docs.

    python -m tests.benchmarks.photo_size

Seconds are of one processor core, memory is what comes on top of the photo. The photographs are scikit-image's; the
large ones are enlarged, with grain of their own.
"""

import io
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import color, data
from torch import Tensor

from imagic.cropping import Box, crop_box, cut_out, part_size
from imagic.resampling import resize
from imagic.restoring import restore

LARGE = {12: (3024, 4032), 48: (6048, 8064)}
SIZE = 512
SHRUNK = 4  # times: how much smaller than the photo an edit is drawn
QUALITY = 85  # of the JPEG that stands for what an editor's autoencoder loses


def photograph(name: str) -> Tensor:
    return torch.from_numpy(getattr(data, name)()[..., :3] / 255).float()


def oval(height: int, width: int) -> Tensor:
    """A soft mask in the middle, [H, W, 1]."""
    down, across = torch.linspace(-1.4, 1.4, height), torch.linspace(-1.4, 1.4, width)
    return ((1 - (down[:, None].square() + across.square()).sqrt()) / 0.06 + 0.5).clamp(0, 1)[..., None]


def dyed(picture: Tensor) -> Tensor:
    """With its colours turned to the other side of the wheel."""
    hues = color.rgb2hsv(picture.numpy())
    hues[..., 0] = (hues[..., 0] + 0.4) % 1
    return torch.from_numpy(color.hsv2rgb(hues)).float()


def lossy(picture: Tensor) -> Tensor:
    file = io.BytesIO()
    Image.fromarray((picture * 255).round().byte().numpy()).save(file, "JPEG", quality=QUALITY, subsampling=0)
    return torch.from_numpy(np.asarray(Image.open(file)) / 255).float()


def psnr(one: Tensor, other: Tensor, where: Tensor) -> float:
    return -10 * torch.log10((one - other)[where[..., 0] > 0].square().mean()).item()


def likeness() -> None:
    """Mean PSNR inside of four edits of four photographs to the same edit drawn at full size."""
    print("| edit | enlarged | put back | lossy editor, enlarged | lossy editor, put back |\n|---|---|---|---|---|")
    photos = {name: photograph(name) for name in ("astronaut", "coffee", "chelsea", "rocket")}
    edits = {
        "another colour": dyed,
        "night, all of the picture": lambda picture: picture * torch.tensor([0.35, 0.4, 0.6]),
        "a plain surface": lambda picture: torch.tensor([0.8, 0.7, 0.2]).expand_as(picture),
        "another object": lambda picture: resize(photos["coffee"].flip(1), *picture.shape[:2]).clamp(0, 1),
    }
    for kind, draw in edits.items():
        rows = []
        for photo in photos.values():
            height, width = photo.shape[:2]
            box, where = (
                Box(0, 0, width, height),
                torch.ones(height, width, 1) if "all" in kind else oval(height, width),
            )
            wanted, row = torch.lerp(photo, draw(photo), where), []
            for editor in (lambda picture: picture, lossy):
                edited = editor(cut_out(wanted, box, round(width / SHRUNK), round(height / SHRUNK)))
                restored = restore(photo, box, edited, align=False, feather=0).picture
                row += [psnr(resize(edited, height, width).clamp(0, 1), wanted, where), psnr(restored, wanted, where)]
            rows.append(row)
        print(f"| {kind} |", " | ".join(f"{number:.1f} dB" for number in np.mean(rows, 0)), "|")


class Watch:
    """Seconds of the processor, and the most memory that was taken since, in GB."""

    def __enter__(self):
        self.memory, self.most, self.over = resident(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        self.started = time.process_time()
        return self

    def _look(self) -> None:
        while not self.over.wait(0.01):
            self.most = max(self.most, resident() - self.memory)

    def __exit__(self, *_):
        self.seconds = time.process_time() - self.started
        self.over.set()
        self.thread.join()


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e9


def costs(megapixels: int, painted: bool, align: bool) -> None:
    """A row of what it costs to crop and to put back."""
    height, width = LARGE[megapixels]
    grain = torch.randn(height, width, 1, generator=torch.Generator().manual_seed(0)) * 0.03
    photo = resize(photograph("astronaut")[:384], height, width).add_(grain).clamp_(0, 1)
    del grain
    region = torch.zeros(height, width) if painted else None
    if painted:
        region[height // 3 : height * 2 // 3, width // 3 : width // 2] = 1
    with torch.inference_mode(), Watch() as cropping:
        if painted:
            box, (wide, high) = crop_box(region, SIZE, 16, 1.5)
        else:
            box, (wide, high) = Box(0, 0, width, height), part_size(width, height, SIZE, 16)
        part = cut_out(photo, box, wide, high)
    edited = lossy(torch.lerp(part, dyed(part), oval(high, wide)))
    with torch.inference_mode(), Watch() as putting:
        restored = restore(photo, box, edited, region=region, align=align)
    same = (restored.picture == photo).all(-1)
    outside = same[region == 0] if painted else same[restored.changed == 0]
    name = f"{megapixels} MP, {'a region' if painted else 'whole frame'}{', aligned' if align else ''}"
    print(
        f"| {name} | {wide} x {high} | {cropping.seconds:.1f} s, {cropping.most:.2f} GB "
        f"| {putting.seconds:.1f} s, {putting.most:.2f} GB | {outside.double().mean():.4%} |",
        flush=True,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] != ["costs"]:
        likeness()
    print("\n| photo | drawn at | crop | put back | own pixels outside |\n|---|---|---|---|---|")
    for case in ((12, False, False), (12, False, True), (12, True, False), (48, False, False), (48, True, False)):
        costs(*case)
