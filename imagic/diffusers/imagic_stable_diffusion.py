"""Imagic for Stable Diffusion 1 and 2 as one pipeline; what `custom_pipeline=imagic.diffusers.CUSTOM_PIPELINE` loads.

Its imports are absolute, since diffusers runs a copy of this file, and it defines one pipeline, as diffusers asks.
"""

from diffusers import StableDiffusionPipeline

from imagic.diffusers.community import ImagicMixin


class ImagicStableDiffusionPipeline(ImagicMixin, StableDiffusionPipeline):
    """Train, then call.

    pipe = ImagicStableDiffusionPipeline.from_pretrained("stable-diffusion-v1-5/stable-diffusion-v1-5")
    pipe.train("a dog wearing a hat", photo)
    pipe(alpha=1.2).images[0].save("hat.png")
    """
