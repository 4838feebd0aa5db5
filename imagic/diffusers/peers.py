"""Other methods as diffusers ships them, on the weights of a pipeline that is already loaded, to compare Imagic with.

ledits: LEDITS++ (arXiv 2311.16711), for Stable Diffusion 1 and 2 and SDXL. It finds noises that draw the photo, then
draws with them, guided towards the sentence and, where it is known what the photo shows, away from that.
sdedit: SDEdit (arXiv 2108.01073), diffusers' image-to-image pipelines: noise the photo in part, draw it anew.
"""

import inspect
from dataclasses import dataclass
from math import ceil
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, AutoPipelineForImage2Image, DiffusionPipeline, DPMSolverMultistepScheduler
from PIL import Image

from .families import family_of
from .loading import quiet

STRENGTH = 0.75  # of SDEdit: the default of img2img.py, which came with Stable Diffusion (CompVis/stable-diffusion)
LEDITS = {  # by the pipeline that it takes the place of
    diffusers.StableDiffusionPipeline: diffusers.LEditsPPPipelineStableDiffusion,
    diffusers.StableDiffusionXLPipeline: diffusers.LEditsPPPipelineStableDiffusionXL,
}
LEDITS_UNIT = 32  # pixels: its sides must be multiples of it
ABOUT = {
    "ledits": "LEDITS++ (arXiv 2311.16711) as diffusers ships it, with diffusers' settings and number of steps.",
    "sdedit": f"SDEdit (arXiv 2108.01073): diffusers' image-to-image pipeline at strength {STRENGTH}.",
}
# A checker would blacken pictures that are to be measured.
UNCHECKED = {"safety_checker": None, "requires_safety_checker": False}


def make(name: str, pipeline: DiffusionPipeline) -> Any:
    """The pipeline of "ledits" or "sdedit". It shares all weights; its scheduler is its own.

    Raises:
        ValueError: the method does not run on such a pipeline.
    """
    peer = (_make_ledits if name == "ledits" else _make_sdedit)(pipeline)
    peer.set_progress_bar_config(disable=True)
    return peer


@dataclass
class PeerEdit:
    """An edit by another method. Nothing is learned: all is done in `sample`."""

    name: str
    pipeline: DiffusionPipeline
    image: Image.Image  # RGB, of a size that the pipeline draws
    prompt: str
    caption: str = ""  # what the photo shows, where that is known

    @torch.no_grad()
    def sample(
        self, _eta: float, *, prompt: str | None, num_inference_steps: int, generator: torch.Generator, **_: Any
    ) -> Image.Image:
        """The edited picture, of the photo's size. Arguments as in `ImagicEdit.sample`, errors as in `make`.

        Args:
            num_inference_steps: of SDEdit's schedule, of which it runs the share `STRENGTH`; LEDITS++ has its own.
        """
        target = self.prompt if prompt is None else prompt
        network = family_of(self.pipeline).network
        attention = network.attn_processors  # in whose place LEDITS++ leaves its own
        try:
            peer = make(self.name, self.pipeline)
            if self.name == "ledits":
                return self._by_ledits(peer, target, generator)
            return self._by_sdedit(peer, target, num_inference_steps, generator)
        finally:
            network.set_attn_processor(attention)

    def _by_ledits(self, peer: Any, target: str, generator: torch.Generator) -> Image.Image:
        width, height = (max(1, round(length / LEDITS_UNIT)) * LEDITS_UNIT for length in self.image.size)
        peer.invert(self.image, height=height, width=width, generator=generator)
        away = [self.caption] if self.caption else []
        drawn = peer(editing_prompt=[target, *away], reverse_editing_direction=[False, *(True for _ in away)])
        return drawn.images[0].resize(self.image.size, Image.Resampling.LANCZOS)

    def _by_sdedit(self, peer: Any, target: str, steps: int, generator: torch.Generator) -> Image.Image:
        known = inspect.signature(type(peer).__call__).parameters
        size = zip(("width", "height"), self.image.size, strict=True)
        # Where a pipeline takes a size, its own default would scale the photo.
        options: dict[str, Any] = {name: length for name, length in size if name in known}
        if "true_cfg_scale" in known and known["true_cfg_scale"].default > 1:
            options["negative_prompt"] = " "  # without one Qwen-Image is not guided
        steps = max(steps, ceil(1 / STRENGTH))  # so that at least one is run
        options |= {"strength": STRENGTH, "num_inference_steps": steps, "generator": generator}
        return peer(prompt=target, image=self.image, **options).images[0]


def _make_ledits(pipeline: DiffusionPipeline) -> DiffusionPipeline:
    kind = next((peer for own, peer in LEDITS.items() if isinstance(pipeline, own)), None)
    if kind is None:
        raise ValueError(f"LEDITS++ is for Stable Diffusion 1 and 2 and SDXL, and this is {type(pipeline).__name__}.")
    if not isinstance(pipeline.vae, AutoencoderKL):
        raise ValueError(f"LEDITS++ needs an AutoencoderKL, and this pipeline has {type(pipeline.vae).__name__}.")
    if pipeline.device != pipeline._execution_device:
        raise ValueError("LEDITS++ does not run with parts of the model offloaded: run it without --offload.")
    if pipeline.vae.dtype == torch.float16 and pipeline.vae.config.force_upcast:
        raise ValueError("LEDITS++ does not run with SDXL's autoencoder in float16: set --dtype to bfloat16.")
    # What its inversion is made for, in the place of the pipeline's own sampler.
    solver = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "steps_offset": 1}
    options = {"scheduler": DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config, **solver)}
    options |= UNCHECKED if "safety_checker" in pipeline.components else {}
    with quiet():
        return kind.from_pipe(pipeline, torch_dtype=pipeline.dtype, **options)


def _make_sdedit(pipeline: DiffusionPipeline) -> DiffusionPipeline:
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    try:
        return AutoPipelineForImage2Image.from_pipe(pipeline, scheduler=scheduler, **UNCHECKED)
    except ValueError as error:
        raise ValueError(f"diffusers has no image-to-image pipeline for {type(pipeline).__name__}.") from error
