"""What the host's image and text encoders see."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def encode_pictures(clip_vision, pictures: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The whole and the patches of pictures, as a CLIP_VISION of any kind (CLIP, SigLIP, DINO) sees them.

    Args:
        pictures: N of them, each RGB, [1, H, W, 3].

    Returns:
        Embeddings [N, D] in the space that is shared with the text encoder, where there is one, and the features of
        the patches [N, P, width], fp32 on the CPU.
    """
    seen = [clip_vision.encode_image(_square(picture)) for picture in pictures]
    embeddings, tokens = (
        torch.cat([each[name] for each in seen]).float().cpu() for name in ("image_embeds", "penultimate_hidden_states")
    )
    # The tokens before the patches speak for the whole picture: one of CLIP, up to five of DINO, none of SigLIP.
    patches = math.isqrt(tokens.shape[1]) ** 2
    return embeddings.flatten(1), tokens[:, -patches:]


def _square(picture: Tensor) -> Tensor:
    """Encoders cut the middle square out of a picture, and an edit may be anywhere in it: squeeze it into one."""
    side = max(picture.shape[1:3])
    square = functional.interpolate(picture.movedim(-1, 1), size=(side, side), mode="bicubic", antialias=True)
    return square.clamp(0, 1).movedim(1, -1)


def encode_text(clip, text: str) -> Tensor:
    """The text's embedding [1, D] in the space that is shared with an image encoder trained beside it.

    Raises:
        ValueError: the encoder has no such space, or gives nothing there. The files of Stable Diffusion 1.5 hold no
            projection into it; some hosts then put zeros there, which is told, and others what memory held, which is
            not.
    """
    _, pooled = clip.encode_from_tokens(clip.tokenize(text), return_pooled=True)
    parts = clip.cond_stage_model.modules()
    projected = all(getattr(part, "return_projected_pooled", True) for part in parts)
    if pooled is None or not projected or not pooled.isfinite().all() or not pooled.any():
        raise ValueError(
            "This text encoder cannot be compared with pictures: connect the CLIP of an SDXL checkpoint and CLIP "
            "ViT-bigG, or the CLIP Vision model alone."
        )
    return pooled.float().cpu()
