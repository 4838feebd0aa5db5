"""LEDITS++ (arXiv 2311.16711) as diffusers ships it: the noises of an edit-friendly inversion, and a guidance towards
one text and away from another, only where attention and guidance both point."""

import torch
from diffusers import DPMSolverMultistepScheduler, LEditsPPPipelineStableDiffusion
from diffusers.configuration_utils import FrozenDict
from diffusers.models.autoencoders.vae import DecoderOutput
from PIL import Image
from torch import Tensor, nn

from demo import words

from ..outcome import Outcome
from ..studio import SEED, STEPS

# Of each text; what the model's card suggests is 5 to 15, and thresholds from 0.6 to 0.95.
SETTINGS = {"guidance": [4, 8], "thresholds": [0.0, 0.6, 0.8], "skip": 0.15}


def edit(studio, pair) -> Outcome:
    outcome = Outcome()
    pipeline = LEditsPPPipelineStableDiffusion(
        vae=_Autoencoder(studio.pipeline.vae),
        text_encoder=studio.pipeline.text_encoder,
        tokenizer=_Tokenizer(),
        unet=studio.pipeline.unet,
        scheduler=DPMSolverMultistepScheduler.from_config(
            studio.pipeline.scheduler.config, algorithm_type="sde-dpmsolver++", solver_order=2, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    before = studio.pipeline.unet.attn_processors
    try:
        for guidance in SETTINGS["guidance"]:
            for threshold in SETTINGS["thresholds"]:
                _draw(studio, pair, pipeline, outcome, guidance, threshold)
    finally:
        studio.pipeline.unet.set_attn_processor(before)
    return outcome


def _draw(studio, pair, pipeline, outcome: Outcome, guidance: float, threshold: float) -> None:
    dial = f"{guidance:g}, {threshold:g}"
    with studio.measured(outcome.sample(dial)):
        pipeline.invert(
            Image.fromarray(pair.source),
            num_inversion_steps=STEPS,
            skip=SETTINGS["skip"],
            generator=torch.Generator().manual_seed(SEED),
        )
        image = pipeline(
            editing_prompt=[pair.edit.target_caption, pair.edit.source_caption],
            reverse_editing_direction=[False, True],
            edit_guidance_scale=[guidance, guidance],
            edit_threshold=[threshold, threshold],
            generator=torch.Generator().manual_seed(SEED),
            output_type="np",
        ).images[0]
    outcome.pictures[dial] = (image * 255).round().astype("uint8")


class _Tokenizer(words.Tokenizer):
    """Tells the lengths of texts as well."""

    def __call__(self, text: str | list[str], **options):
        found = super().__call__(text, **options)
        # With the start and the first end.
        found.length = torch.tensor(
            [len(words.split(part)) + 2 for part in ([text] if isinstance(text, str) else text)]
        )
        return found


class _Distribution:
    def __init__(self, latents: Tensor):
        self.latents = latents

    def mode(self) -> Tensor:
        return self.latents


class _Encoded:
    def __init__(self, latents: Tensor):
        self.latent_dist = _Distribution(latents)


class _Autoencoder(nn.Module):
    """The demo model's autoencoder with the interface of Stable Diffusion's, which the pipeline expects."""

    def __init__(self, vae: nn.Module):
        super().__init__()
        self.vae = vae
        self.config = FrozenDict(scaling_factor=1.0, sample_size=128, block_out_channels=[1] * 4)
        self.dtype, self.device = vae.dtype, vae.device

    def encode(self, images: Tensor) -> _Encoded:
        return _Encoded(self.vae.encode(images).latents)

    def decode(self, latents: Tensor, return_dict: bool = True, generator=None) -> DecoderOutput | tuple[Tensor]:
        return self.vae.decode(latents, return_dict=return_dict)
