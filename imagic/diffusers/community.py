"""Train, then call: an edit through a pipeline, as diffusers' community pipeline for Imagic is used.

That one is examples/community/imagic_stable_diffusion.py in huggingface/diffusers.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from .. import checks
from .edit import ImagicEdit
from .images import as_picture
from .settings import EmbeddingSettings, TuningSettings
from .tuning import tune

STEPS = EmbeddingSettings().steps, TuningSettings().steps


@dataclass
class ImagicPipelineOutput(BaseOutput):
    """
    Args:
        images: one picture: a list of PIL, an array [1, H, W, 3], or a tensor [1, 3, H, W] or [1, C, ...].
        nsfw_content_detected: what the safety checker says, where the pipeline has one.
    """

    images: list[Image.Image] | np.ndarray | Tensor
    nsfw_content_detected: list[bool] | None = None


class ImagicMixin:
    """Put before a text-to-image pipeline of diffusers in a class of one's own; see `ImagicStableDiffusionPipeline`.

    Unlike the community's, training leaves the weights as they were: what was learned is in `edit`, which can be saved,
    and which any call draws from. The photo around the edit is kept.
    """

    edit: ImagicEdit | None = None

    def train(
        self: Any,
        prompt: str,
        image: Image.Image | np.ndarray | Tensor,
        height: int | None = None,
        width: int | None = None,
        generator: torch.Generator | None = None,
        embedding_learning_rate: float | None = None,
        diffusion_model_learning_rate: float | None = None,
        text_embedding_optimization_steps: int = STEPS[0],
        model_fine_tuning_optimization_steps: int = STEPS[1],
        *,
        embedding: EmbeddingSettings | None = None,
        tuning: TuningSettings | None = None,
    ) -> ImagicEdit:
        """Learn a photo for a target.

        Args:
            prompt: the target.
            image: the photo, see `imagic.diffusers.tune`.
            height, width: in pixels, what the photo is scaled to. Default: its own.
            generator: of the noise. Default: seeded with 0.
            embedding_learning_rate, diffusion_model_learning_rate: ignored with a warning. The community's rates count
                in numbers and weights, those of `embedding` and `tuning` in sizes of the text and of a layer's output.
            text_embedding_optimization_steps, model_fine_tuning_optimization_steps: of the two stages.
            embedding, tuning: all that the stages do, in the place of the two numbers.

        Returns:
            What was learned, also kept as `edit`.

        Raises:
            ValueError: an argument is none that `imagic.diffusers.tune` takes.
            NonFiniteLoss: the loss became NaN or infinite.
        """
        first, second = (
            checks.integer(name, steps, 1, 10000)
            for name, steps in (
                ("text_embedding_optimization_steps", text_embedding_optimization_steps),
                ("model_fine_tuning_optimization_steps", model_fine_tuning_optimization_steps),
            )
        )
        for name, rate in (
            ("embedding_learning_rate", embedding_learning_rate),
            ("diffusion_model_learning_rate", diffusion_model_learning_rate),
        ):
            if rate is not None:
                warnings.warn(f"{name} is ignored: set the learning_rate of embedding or tuning.", stacklevel=2)
        picture = as_picture("image", image)
        if height is not None or width is not None:
            size = width or picture.width, height or picture.height
            sides = zip(("width", "height"), size, strict=True)
            picture = picture.resize(
                [checks.integer(name, side, 8, 8192) for name, side in sides], Image.Resampling.LANCZOS
            )
        self.edit = tune(
            self,
            picture,
            prompt,
            embedding=embedding or EmbeddingSettings(steps=first),
            tuning=tuning or TuningSettings(steps=second),
            generator=generator,
        )
        return self.edit

    def __call__(
        self: Any,
        alpha: float = 1.2,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 20,
        generator: torch.Generator | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        guidance_scale: float | None = None,
        eta: float = 0.0,
        *,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        threshold: float = 0.4,
        mask_image: Image.Image | np.ndarray | Tensor | None = None,
        callback_on_step_end: Callable[[DiffusionPipeline, int, Tensor, dict[str, Any]], dict[str, Any]] | None = None,
    ) -> ImagicPipelineOutput | tuple[Any, list[bool] | None]:
        """Draw the edit that was trained.

        Args:
            alpha: how far to go from the photo (0) to the target (1); 1.2 goes beyond.
            height, width: the photo's as it was trained, or nothing.
            eta: 0, for the sampler is deterministic.
            return_dict: False for the pair (images, nsfw_content_detected).
            num_inference_steps, guidance_scale, generator, output_type, prompt, negative_prompt, threshold, mask_image,
                callback_on_step_end: see `ImagicEdit.sample`.

        Raises:
            ValueError: nothing was trained, or an argument is none that makes a picture.
        """
        if self.edit is None:
            raise ValueError("Nothing is trained yet: call train(prompt, image) first.")
        learned = [length * self.vae_scale_factor for length in self.edit.photo.shape[-2:]]
        for name, given, trained in (("height", height, learned[0]), ("width", width, learned[1])):
            if given not in (None, trained):
                raise ValueError(f"{name} is {checks.shown(given)}, and the photo was trained at {trained}: omit it.")
        if eta != 0:
            raise ValueError(f"eta is {checks.shown(eta)}: leave it at 0, for the sampler is deterministic.")
        checker = getattr(self, "safety_checker", None) if output_type != "latent" else None
        picture = self.edit.sample(
            alpha,
            prompt,
            negative_prompt=negative_prompt,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            generator=generator,
            threshold=threshold,
            mask_image=mask_image,
            output_type=output_type if checker is None else "pt",
            callback_on_step_end=callback_on_step_end,
        )
        found = None
        if checker is not None:
            pixels = 2 * picture[None] - 1  # as the autoencoder gives them
            pixels, found = self.run_safety_checker(pixels, self._execution_device, checker.dtype)
            images = self.image_processor.postprocess(
                pixels, output_type=output_type, do_denormalize=[not bad for bad in found]
            )
        else:
            images = [picture] if output_type == "pil" else picture[None]
        return ImagicPipelineOutput(images, found) if return_dict else (images, found)
