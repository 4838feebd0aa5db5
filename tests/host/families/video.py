"""Video models that draw a single frame from a text."""

from .configs import COSMOS, HUNYUAN_IMAGE, MASK, SMALL_COSMOS, TEXT, TOKENS, WIDTH
from .family import FAINT, Family

ONE_FRAME = "a video model; it draws a single frame"

WAN = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "patch_size": (1, 2, 2),
    "dim": 1536,
    "num_heads": 12,
    "ffn_dim": 8960,
    "freq_dim": 256,
    "num_layers": 2,
    "in_dim": 16,
    "out_dim": 16,
}
SMALL_WAN = {"dim": 32, "num_heads": 2, "ffn_dim": 32, "freq_dim": 32, "text_dim": WIDTH}
HUNYUAN_VIDEO = {
    **HUNYUAN_IMAGE,
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": [1, 2, 2],
    "vec_in_dim": 768,
    "axes_dim": [16, 56, 56],
    "context_in_dim": 4096,
    "hidden_size": 3072,
    "num_heads": 24,
    "byt5": False,
    "guidance_embed": True,
}
SMALL_HUNYUAN = {"hidden_size": 32, "num_heads": 2, "axes_dim": [4, 6, 6], "context_in_dim": WIDTH, "vec_in_dim": 40}
POOLED = {**TEXT, "pooled_output": (40,)}
COSMOS_VIDEO = {
    **{key: value for key, value in COSMOS.items() if key not in ("crossattn_emb_channels", "num_blocks")},
    "image_model": "cosmos",
    "model_channels": 4096,
    "num_heads": 32,
    "num_blocks": 2,
    "block_config": "FA-CA-MLP",
    "block_x_format": "THWBD",
    "affline_emb_norm": True,
    "extra_per_block_abs_pos_emb": True,
    "extra_per_block_abs_pos_emb_type": "learnable",
}
SMALL_COSMOS_VIDEO = {**SMALL_COSMOS, "num_blocks": 2, "max_img_h": 16, "max_img_w": 16, "max_frames": 2}
MOCHI = {
    "image_model": "mochi_preview",
    "depth": 2,
    "patch_size": 2,
    "num_heads": 24,
    "hidden_size_x": 3072,
    "hidden_size_y": 1536,
    "mlp_ratio_x": 4.0,
    "mlp_ratio_y": 4.0,
    "learn_sigma": False,
    "in_channels": 12,
    "qk_norm": True,
    "qkv_bias": False,
    "out_bias": True,
    "attn_drop": 0.0,
    "patch_embed_bias": True,
    "posenc_preserve_area": True,
    "timestep_mlp_bias": True,
    "attend_to_padding": False,
    "timestep_scale": 1000.0,
    "use_t5": True,
    "t5_feat_dim": 4096,
    "t5_token_length": 256,
    "rope_theta": 10000.0,
}
SMALL_MOCHI = {
    "depth": 2,
    "num_heads": 2,
    "hidden_size_x": 48,
    "mlp_ratio_x": 256.0,  # the host takes one width only
    "hidden_size_y": 32,
    "t5_feat_dim": 24,
    "t5_token_length": TOKENS,
}
COGVIDEO = {
    "image_model": "cogvideox",
    "num_attention_heads": 30,
    "attention_head_dim": 64,
    "time_embed_dim": 512,
    "num_layers": 2,
    "in_channels": 16,
    "patch_size": 2,
    "text_embed_dim": 4096,
    "use_rotary_positional_embeddings": True,
}
SMALL_COGVIDEO = {
    "num_attention_heads": 2,
    "time_embed_dim": 32,
    "text_embed_dim": WIDTH,
    "max_text_seq_length": TOKENS,
}
LTXV = {"image_model": "ltxv", "num_layers": 2, "attention_head_dim": 64, "cross_attention_dim": 2048}
SMALL_LTXV = {"num_attention_heads": 2, "attention_head_dim": 16, "cross_attention_dim": 32, "caption_channels": WIDTH}


VIDEO = [
    Family("Wan 2.1 T2V", "WAN21_T2V", WAN, SMALL_WAN, (16, 1, 16, 16), TEXT, note=ONE_FRAME),
    Family(
        "Wan 2.2 T2V 5B",
        "WAN22_T2V",
        {**WAN, "in_dim": 48, "out_dim": 48},
        SMALL_WAN,
        (48, 1, 8, 8),
        TEXT,
        note=ONE_FRAME,
    ),
    Family("HunyuanVideo", "HunyuanVideo", HUNYUAN_VIDEO, SMALL_HUNYUAN, (16, 1, 16, 16), POOLED, note=ONE_FRAME),
    Family(
        "Mochi",
        "GenmoMochi",
        MOCHI,
        SMALL_MOCHI,
        (12, 1, 16, 16),
        TEXT,
        MASK,
        note=ONE_FRAME,
    ),
    Family("LTX-Video", "LTXV", LTXV, SMALL_LTXV, (128, 1, 8, 8), TEXT, MASK, note=ONE_FRAME),
    Family(
        "Wan VACE",
        "WAN21_Vace",
        {**WAN, "model_type": "vace", "vace_in_dim": 96, "vace_layers": 1},
        SMALL_WAN,
        (16, 1, 16, 16),
        TEXT,
        note=ONE_FRAME,
    ),
    Family("Wan S2V", "WAN22_S2V", {**WAN, "model_type": "s2v"}, SMALL_WAN, (16, 1, 16, 16), TEXT, note=ONE_FRAME),
    Family("Wan HuMo", "WAN21_HuMo", {**WAN, "model_type": "humo"}, SMALL_WAN, (16, 1, 16, 16), TEXT, note=ONE_FRAME),
    Family("Wan causal", "WAN21_CausalAR_T2V", WAN, SMALL_WAN, (16, 1, 16, 16), TEXT, note=ONE_FRAME, detected=False),
    Family("Cosmos T2V", "CosmosT2V", COSMOS_VIDEO, SMALL_COSMOS_VIDEO, (16, 1, 16, 16), TEXT, note=ONE_FRAME),
    Family(
        "CogVideoX T2V",
        "CogVideoX_T2V",
        COGVIDEO,
        SMALL_COGVIDEO,
        (16, 1, 16, 16),
        TEXT,
        note=f"{ONE_FRAME}; {FAINT}",
        faint=FAINT,
    ),
]
