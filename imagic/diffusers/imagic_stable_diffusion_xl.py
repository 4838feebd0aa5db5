"""Imagic for SDXL as one pipeline, for `custom_pipeline=`; see `imagic_stable_diffusion`."""

from diffusers import StableDiffusionXLPipeline

from imagic.diffusers.community import ImagicMixin


class ImagicStableDiffusionXLPipeline(ImagicMixin, StableDiffusionXLPipeline):
    """Train, then call, as `ImagicStableDiffusionPipeline`."""
