"""Families that are refused: not from a text, not to a picture, or not from these two alone."""

from .configs import COSMOS, HUNYUAN_IMAGE, KANDINSKY, SMALL_COSMOS, SMALL_FLUX, TEXT, TOKENS, WIDTH, flux
from .family import Family
from .no_pictures import DOES_NOT_RUN, NO_PICTURES, NO_TEXT, refused
from .unets import SD2, SD15, SDXL, small
from .video import (
    COGVIDEO,
    COSMOS_VIDEO,
    HUNYUAN_VIDEO,
    LTXV,
    POOLED,
    SMALL_COGVIDEO,
    SMALL_COSMOS_VIDEO,
    SMALL_HUNYUAN,
    SMALL_LTXV,
    SMALL_WAN,
    WAN,
)

SECOND_PICTURE = "wants a second picture"
ANIMATES = "an inpainting model or one that animates a picture"
UNREAD = "does not read the embedding"


def unet(name: str, config: str, full: dict, why: str, **changes) -> Family:
    text = changes.pop("text", TEXT)
    return refused(name, config, full, {**small(full), **changes}, (4, 16, 16), why, text=text)


def wan(name: str, config: str, why: str, **changes) -> Family:
    return refused(name, config, WAN, {**SMALL_WAN, **changes}, (16, 1, 16, 16), why)


SMALL_SOUND = {"audio_num_attention_heads": 2, "audio_attention_head_dim": 16, "audio_cross_attention_dim": 32}
SMALL_SOUND |= {"connector_num_attention_heads": 2, "connector_attention_head_dim": 16}
FOUR_LEVELS = {
    "channel_mult": [1, 1, 1, 1],
    "num_res_blocks": [1, 1, 1, 1],
    "transformer_depth": [0, 1, 1, 1],
    "transformer_depth_output": [0, 0, 1, 1, 1, 1, 1, 1],
}

PICTURES_IN = [
    unet("Lotus depth", "LotusD", SD2, "turns one picture into another", adm_in_channels=4, num_classes="sequential"),
    unet("Stable Zero123", "Stable_Zero123", SD15, NO_TEXT, in_channels=8),
    unet("InstructPix2Pix (SD 1.5)", "SD15_instructpix2pix", SD15, SECOND_PICTURE, in_channels=8),
    unet(
        "InstructPix2Pix (SDXL)",
        "SDXL_instructpix2pix",
        SDXL,
        SECOND_PICTURE,
        in_channels=8,
        text={**TEXT, "pooled_output": (1280,)},
    ),
    unet("SD 1.5 inpainting", "SD15", SD15, ANIMATES, in_channels=9),
    unet("SDXL inpainting", "SDXL", SDXL, ANIMATES, in_channels=9),
    unet("SD x4 Upscaler", "SD_X4Upscaler", SD2, DOES_NOT_RUN, in_channels=7, **FOUR_LEVELS),
    refused(
        "Stable Cascade (stage B)",
        "Stable_Cascade_B",
        {"stable_cascade_stage": "b"},
        {
            "c_hidden": [32, 32, 32, 32],
            "nhead": [-1, -1, 2, 2],
            "blocks": [[1, 1, 1, 1]] * 2,
            "block_repeat": [[1, 1, 1, 1]] * 2,
            "c_clip": 40,
            "c_cond": 32,
        },
        (4, 16, 16),
        UNREAD,
        text={**TEXT, "pooled_output": (1, 40)},
    ),
    refused(
        "Flux.1 Fill",
        "FluxInpaint",
        flux(guidance_embed=True, vec_in_dim=768),
        {**SMALL_FLUX, "vec_in_dim": 40, "in_channels": 96},
        (16, 16, 16),
        SECOND_PICTURE,
        text=POOLED,
    ),
    refused(
        "HunyuanImage 2.1 Refiner",
        "HunyuanImage21Refiner",
        HUNYUAN_IMAGE,
        {**SMALL_HUNYUAN, "vec_in_dim": None, "patch_size": [1, 1, 1], "in_channels": 128, "byt5": False},
        (64, 1, 8, 8),
        SECOND_PICTURE,
    ),
    refused(
        "HunyuanVideo I2V",
        "HunyuanVideoI2V",
        HUNYUAN_VIDEO,
        {**SMALL_HUNYUAN, "in_channels": 33},
        (16, 1, 16, 16),
        ANIMATES,
        text=POOLED,
    ),
    refused(
        "SkyReels I2V",
        "HunyuanVideoSkyreelsI2V",
        HUNYUAN_VIDEO,
        {**SMALL_HUNYUAN, "in_channels": 32},
        (16, 1, 16, 16),
        ANIMATES,
        text=POOLED,
    ),
    refused(
        "HunyuanVideo 1.5",
        "HunyuanVideo15",
        HUNYUAN_VIDEO,
        {**SMALL_HUNYUAN, "vec_in_dim": None, "in_channels": 65, "vision_in_dim": 32},
        (32, 1, 8, 8),
        SECOND_PICTURE,
        text=POOLED,
    ),
    refused(
        "HunyuanVideo 1.5 upscaler",
        "HunyuanVideo15_SR_Distilled",
        HUNYUAN_VIDEO,
        {**SMALL_HUNYUAN, "vec_in_dim": None, "in_channels": 98, "vision_in_dim": 32},
        (32, 1, 8, 8),
        SECOND_PICTURE,
        text=POOLED,
    ),
    refused(
        "Cosmos I2V", "CosmosI2V", COSMOS_VIDEO, {**SMALL_COSMOS_VIDEO, "in_channels": 17}, (16, 1, 16, 16), ANIMATES
    ),
    refused(
        "Cosmos-Predict2 I2V",
        "CosmosI2VPredict2",
        COSMOS,
        {**SMALL_COSMOS, "in_channels": 17},
        (16, 1, 16, 16),
        ANIMATES,
    ),
    refused(
        "Kandinsky 5 Video",
        "Kandinsky5",
        KANDINSKY,
        {
            "model_dim": 32,
            "time_dim": 32,
            "ff_dim": 32,
            "axes_dims": (4, 6, 6),
            "in_text_dim": WIDTH,
            "in_text_dim2": 40,
            "visual_embed_dim": 132,
        },
        (16, 1, 16, 16),
        SECOND_PICTURE,
        text=POOLED,
    ),
    refused(
        "CogVideoX I2V",
        "CogVideoX_I2V",
        COGVIDEO,
        {**SMALL_COGVIDEO, "in_channels": 32},
        (16, 1, 16, 16),
        SECOND_PICTURE,
    ),
    refused(
        "CogVideoX inpainting",
        "CogVideoX_Inpaint",
        COGVIDEO,
        {**SMALL_COGVIDEO, "in_channels": 48},
        (16, 1, 16, 16),
        SECOND_PICTURE,
    ),
    wan("Wan I2V", "WAN21_I2V", SECOND_PICTURE, model_type="i2v", in_dim=36),
    wan("Wan Fun Control", "WAN21_FunControl2V", SECOND_PICTURE, model_type="i2v", in_dim=48),
    wan("Wan 2.1 Camera", "WAN21_Camera", SECOND_PICTURE, model_type="camera", in_dim=32),
    wan("Wan 2.2 Camera", "WAN22_Camera", SECOND_PICTURE, model_type="camera_2.2", in_dim=36),
    wan("Wan Animate", "WAN22_Animate", SECOND_PICTURE, model_type="animate", in_dim=36),
    wan("Wan Animate 2", "WAN_Animate2", SECOND_PICTURE, model_type="animate2", in_dim=36),
    wan("Wan FlowRVS", "WAN21_FlowRVS", "turns one picture into another", model_type="t2v"),
    wan("Wan SCAIL", "WAN21_SCAIL", SECOND_PICTURE, model_type="scail", in_dim=20),
    wan("Wan SCAIL 2", "WAN21_SCAIL2", SECOND_PICTURE, model_type="scail2", in_dim=20),
    wan("WanDancer", "WAN22_WanDancer", SECOND_PICTURE, model_type="wandancer", in_dim=36),
    refused(
        "PiD",
        "PiD",
        {"image_model": "pid"},
        {
            "hidden_size": 48,
            "num_groups": 2,
            "pixel_hidden_size": 4,
            "pixel_attn_hidden_size": 48,
            "pixel_num_groups": 2,
            "patch_depth": 2,
            "pixel_depth": 2,
            "txt_embed_dim": WIDTH,
            "txt_max_length": 16,
            "lq_hidden_dim": 16,
        },
        (3, 64, 64),
        DOES_NOT_RUN,
    ),
    refused(
        "HiDream-O1",
        "HiDreamO1",
        {"image_model": "hidream_o1"},
        {
            "text_config_overrides": {
                "vocab_size": 32,
                "hidden_size": 128,
                "intermediate_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 1,
                "num_key_value_heads": 1,
            },
            "vision_config_overrides": {
                "hidden_size": 32,
                "num_heads": 2,
                "intermediate_size": 32,
                "depth": 1,
                "deepstack_visual_indexes": (),
            },
        },
        (3, 64, 64),
        DOES_NOT_RUN,
    ),
    refused(
        "LTX-Video with sound",
        "LTXAV",
        LTXV,
        {**SMALL_LTXV, **SMALL_SOUND, "image_model": "ltxav"},
        (128, 1, 8, 8),
        DOES_NOT_RUN,
        text={"cross_attn": (TOKENS, 2 * WIDTH)},  # for the pictures and for the sound
    ),
    refused(
        "MiniMax H3",
        "MiniMaxH3",
        {"image_model": "minimax_h3"},
        {
            "num_layers": 1,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "ffn_hidden_size": 32,
            "token_refiner_num_layers": 1,
            "text_dim": WIDTH,
            "time_embed_hidden_size": 32,
            "time_embed_dim": 16,
            "rope_inv_freq_len": 2,
        },
        (32, 1, 8, 8),
        DOES_NOT_RUN,
    ),
]

REFUSED = [*PICTURES_IN, *NO_PICTURES]
