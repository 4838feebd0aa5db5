"""The demo model as objects of diffusers and transformers: the package's code, which reads the weights beside this."""

from imagic.diffusers.demo import MODEL, pipeline, text_encoder, text_encoder_tensors, unet, vae

__all__ = ["MODEL", "pipeline", "text_encoder", "text_encoder_tensors", "unet", "vae"]
