"""What the finished model can do, on combinations and seeds that no training saw."""

import numpy as np
import torch
from diffusers import AutoencoderTiny, DiffusionPipeline
from torch import Tensor

from demo import classifier
from demo.scenes import VALUES, Scene, caption
from demo.training.autoencoder import decode, encode
from demo.training.data import labels, pictures, scenes, to_pixels, to_tensor

_SEED = 77
GUIDANCE, SAMPLING_STEPS = 3.0, 25


def held_out(count: int) -> list[Scene]:
    return scenes(_SEED, count, held_out=True)


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Decibels per picture: (N,), of images (N, 3, H, W) in [-1, 1]."""
    return 10 * torch.log10(4 / (images - truth).square().mean(dim=(1, 2, 3)))


def reconstruction(vae: AutoencoderTiny, count: int = 256) -> Tensor:
    """PSNR in dB (N,) of held-out pictures sent through the autoencoder: the ceiling of every edit."""
    originals = pictures(held_out(count))
    return psnr(decode(vae, encode(vae, originals)), to_tensor(originals))


def agreement(judge: classifier.Classifier, images: np.ndarray, scenes: list[Scene]) -> dict[str, float]:
    """Per attribute, and for "all" at once, the share of images on which the judge sees what the scene says.

    The colour of grey sketches is left out.
    """
    seen, truth = classifier.predict(judge, images), labels(scenes)
    right = {name: seen[name].argmax(-1) == truth[name] for name in VALUES}
    grey = truth["style"] == VALUES["style"].index("sketch")
    counted = {name: hits[~grey] if name == "colour" else hits for name, hits in right.items()}
    right["colour"] |= grey
    counted["all"] = torch.stack([*right.values()]).all(0)
    return {name: hits.float().mean().item() for name, hits in counted.items()}


@torch.no_grad()
def samples(
    pipeline: DiffusionPipeline, prompts: list[str], seed: int = _SEED, steps: int = SAMPLING_STEPS
) -> np.ndarray:
    """A picture for each prompt: uint8 (N, 128, 128, 3)."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for i in range(0, len(prompts), 16):
        # In full precision: many CPUs have no half precision of their own and emulate it many times slower.
        out = pipeline(
            prompts[i : i + 16],
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            generator=generator,
            output_type="pt",
        )
        parts.append(to_pixels(out.images.cpu() * 2 - 1))
    return np.concatenate(parts)


def measure(pipeline: DiffusionPipeline, judge: classifier.Classifier, count: int = 256) -> dict:
    """The figures of the model card."""
    quality = reconstruction(pipeline.vae)
    subjects = held_out(count)
    return {
        "reconstruction_db": {"mean": quality.mean().item(), "least": quality.min().item(), "pictures": len(quality)},
        "classifier_on_renders": agreement(judge, pictures(held_out(1000)), held_out(1000)),
        "samples": agreement(judge, samples(pipeline, [caption(s.attributes) for s in subjects]), subjects),
        "samples_count": count,
    }
