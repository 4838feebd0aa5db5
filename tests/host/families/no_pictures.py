"""Families that are refused because they make no picture, or read no text."""

import torch

from .configs import TEXT, WIDTH
from .family import Family
from .unets import SDXL

NO_TEXT = "reads a picture and no text"
SOUND = "makes sound"
DOES_NOT_RUN = "does not run on this photo and text"


def refused(name: str, config: str, full: dict, changes: dict, latent: tuple[int, ...], why: str, **rest) -> Family:
    return Family(name, config, {**full, **changes}, {}, latent, rest.pop("text", TEXT), refusal=why, **rest)


STABLE_AUDIO = {"audio_model": "dit1.0", "timestep_features_type": "learned", "global_cond_dim": 8}


def seconds(name: str) -> dict:
    """The weights by which Stable Audio embeds a length."""
    prefix = f"conditioner.conditioners.seconds_{name}.embedder.embedding"
    return {
        f"{prefix}.0.weights": torch.zeros(128),
        f"{prefix}.1.weight": torch.zeros(768, 257),
        f"{prefix}.1.bias": torch.zeros(768),
    }


SOUNDS = [
    refused(
        "Stable Audio 1",
        "StableAudio",
        STABLE_AUDIO,
        {},
        (64, 16, 16),
        SOUND,
        bare=True,
        markers={**seconds("start"), **seconds("total")},
    ),
    refused(
        "Stable Audio 3", "StableAudio3", STABLE_AUDIO, {}, (64, 16, 16), SOUND, bare=True, markers=seconds("total")
    ),
    *(
        refused(name, config, {}, {"audio_model": model}, (64, 16, 16), SOUND, bare=True)
        for name, config, model in (
            ("ACE-Step", "ACEStep", "ace"),
            ("ACE-Step 1.5", "ACEStep15", "ace1.5"),
            ("MiniMax Music 3", "MiniMaxMusic3", "minimax_music3"),
        )
    ),
]

TRIPOSPLAT = {
    "image_model": "triposplat",
    "q_token_length": 64,
    "model_channels": 64,
    "cond_channels": WIDTH,
    "num_blocks": 1,
    "num_refiner_blocks": 1,
    "num_head_channels": 32,
}
SEEDVR = {"image_model": "seedvr2", "vid_dim": 32, "txt_in_dim": WIDTH, "heads": 2, "head_dim": 16, "rope_dim": 12}
SEEDVR |= {"norm_eps": 1e-5, "num_layers": 2, "mm_layers": 2, "mlp_type": "normal", "rope_type": "rope3d"}
NOT_PICTURES = [
    refused("TripoSplat", "TripoSplat", TRIPOSPLAT, {}, (16, 16, 16), DOES_NOT_RUN),
    refused("SeedVR 2", "SeedVR2", SEEDVR, {}, (16, 1, 16, 16), DOES_NOT_RUN),
]
NO_TEXTS = [
    refused(name, config, {}, changes, (4, 16, 16), NO_TEXT, bare=True)
    for name, config, changes in (
        ("Stable Video Diffusion", "SVD_img2vid", SDXL),
        ("SV3D u", "SV3D_u", SDXL),
        ("SV3D p", "SV3D_p", SDXL),
        ("Hunyuan3D 2", "Hunyuan3Dv2", {"image_model": "hunyuan3d2"}),
        ("Hunyuan3D 2 mini", "Hunyuan3Dv2mini", {"image_model": "hunyuan3d2", "depth": 8}),
        ("Hunyuan3D 2.1", "Hunyuan3Dv2_1", {"image_model": "hunyuan3d2_1"}),
        ("Trellis 2", "Trellis2", {"image_model": "trellis2", "resolution": 32}),
    )
]

DRAW_NOTHING = [
    refused(name, config, {"image_model": config}, {}, (4, 16, 16), "draws nothing", bare=True)
    for name, config in (
        ("RT-DETR", "RT_DETR_v4"),
        ("Depth Anything 3", "DepthAnything3"),
        ("SAM 3", "SAM3"),
        ("SAM 3.1", "SAM31"),
    )
]

NO_PICTURES = [*SOUNDS, *NOT_PICTURES, *NO_TEXTS, *DRAW_NOTHING]
