"""Configs of transformers at the widths of real checkpoints, and what makes them small."""

import importlib

import torch

TOKENS, WIDTH = 128, 24
TEXT = {"cross_attn": (TOKENS, WIDTH)}
MASK = {"attention_mask": torch.ones(1, TOKENS, dtype=torch.long)}


def flux(image_model: str = "flux", **changes) -> dict:
    return {
        "image_model": image_model,
        "in_channels": 16,
        "out_channels": 16,
        "vec_in_dim": None,
        "context_in_dim": 4096,
        "hidden_size": 3072,
        "mlp_ratio": 4.0,
        "num_heads": 24,
        "depth": 2,
        "depth_single_blocks": 2,
        "axes_dim": [16, 56, 56],
        "theta": 10000,
        "patch_size": 2,
        "qkv_bias": True,
        "txt_ids_dims": [],
        **changes,
    }


SMALL_FLUX = {"hidden_size": 32, "num_heads": 2, "axes_dim": [4, 6, 6], "context_in_dim": WIDTH}
FLUX2 = flux(
    "flux2",
    in_channels=128,
    out_channels=128,
    context_in_dim=15360,
    hidden_size=6144,
    num_heads=48,
    axes_dim=[32, 32, 32, 32],
    mlp_ratio=3.0,
    patch_size=1,
    qkv_bias=False,
    guidance_embed=True,
    global_modulation=True,
    mlp_silu_act=True,
    ops_bias=False,
    txt_ids_dims=[3],
)
CHROMA = flux(
    "chroma", vec_in_dim=768, in_channels=64, out_channels=64, in_dim=64, out_dim=3072, hidden_dim=5120, n_layers=5
)
# The vector of all modulations: 3 a single block, 12 a double block, 2 at the end.
SMALL_CHROMA = {**SMALL_FLUX, "hidden_dim": 32, "out_dim": 32, "n_layers": 1}
RADIANCE = {
    **CHROMA,
    "image_model": "chroma_radiance",
    "in_channels": 3,
    "out_channels": 3,
    "patch_size": 16,
    "nerf_hidden_size": 64,
    "nerf_mlp_ratio": 4,
    "nerf_depth": 4,
    "nerf_max_freqs": 8,
    "nerf_tile_size": 512,
    "nerf_final_head_type": "conv",
    "nerf_embedder_dtype": torch.float32,
    "use_x0": False,
    "use_sequential_txt_ids": False,
}
SD3 = {
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "depth": 24,
    "num_blocks": 2,
    "input_size": None,
    "adm_in_channels": 2048,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 1536}},
    "num_patches": 36864,
    "pos_embed_max_size": 192,
    "pos_embed_scaling_factor": None,
}
SMALL_SD3 = {
    "depth": 1,  # also the heads, of 64
    "adm_in_channels": 40,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": WIDTH, "out_features": 64}},
    "num_patches": 256,
    "pos_embed_max_size": 16,
}
LUMINA = {
    "image_model": "lumina2",
    "patch_size": 2,
    "in_channels": 16,
    "cap_feat_dim": 2304,
    "n_layers": 2,
    "qk_norm": True,
    "dim": 2304,
    "n_heads": 24,
    "n_kv_heads": 8,
    "axes_dims": [32, 32, 32],
    "axes_lens": [300, 512, 512],
}
SMALL_LUMINA = {"dim": 48, "n_heads": 2, "n_kv_heads": 2, "axes_dims": [8, 8, 8], "cap_feat_dim": WIDTH}
SMALL_Z_IMAGE = {**SMALL_LUMINA, "dim": 256, "n_heads": 16, "n_kv_heads": 16, "axes_dims": [4, 6, 6]}
Z_IMAGE = {
    **LUMINA,
    "dim": 3840,
    "n_heads": 30,
    "n_kv_heads": 30,
    "axes_dims": [32, 48, 48],
    "cap_feat_dim": 2560,
    "ffn_dim_multiplier": 8 / 3,
    "z_image_modulation": True,
    "time_scale": 1000.0,
    "pad_tokens_multiple": 32,
}
Z_PIXEL = {
    **Z_IMAGE,
    "image_model": "zimage_pixel",
    "in_channels": 3,
    "patch_size": 32,
    "decoder_in_channels": 3072,
    "decoder_hidden_size": 256,
    "decoder_num_res_blocks": 1,
    "decoder_max_freqs": 8,
}
COSMOS = {
    "image_model": "cosmos_predict2",
    "max_img_h": 240,
    "max_img_w": 240,
    "max_frames": 128,
    "in_channels": 16,
    "out_channels": 16,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "concat_padding_mask": True,
    "crossattn_emb_channels": 1024,
    "pos_emb_cls": "rope3d",
    "use_adaln_lora": True,
    "adaln_lora_dim": 256,
    "model_channels": 2048,
    "num_blocks": 2,
    "num_heads": 16,
}
SMALL_COSMOS = {"model_channels": 64, "num_heads": 2, "adaln_lora_dim": 8, "crossattn_emb_channels": WIDTH}
PIXART = {
    "input_size": 64,
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": 1152,
    "num_heads": 16,
    "depth": 2,
    "model_max_length": 120,
}
SMALL_PIXART = {"hidden_size": 48, "num_heads": 2, "caption_channels": WIDTH, "pe_interpolation": 1}
HUNYUAN_IMAGE = {
    "image_model": "hunyuan_video",
    "in_channels": 64,
    "patch_size": [1, 1],
    "out_channels": 64,
    "vec_in_dim": None,
    "axes_dim": [64, 64],
    "meanflow": False,
    "context_in_dim": 3584,
    "hidden_size": 3584,
    "mlp_ratio": 4.0,
    "num_heads": 28,
    "depth": 2,
    "depth_single_blocks": 2,
    "theta": 256,
    "qkv_bias": True,
    "byt5": True,
    "guidance_embed": False,
    "use_cond_type_embedding": False,
    "vision_in_dim": None,
    "meanflow_sum": False,
}
HYDIT = {"hidden_size": 1408, "depth": 4, "num_heads": 16}
SMALL_HYDIT = {"hidden_size": 64, "num_heads": 2, "text_states_dim": WIDTH, "text_states_dim_t5": 32, "mlp_ratio": 2.0}
HYDIT_TEXT = {"cross_attn": (77, WIDTH), "conditioning_mt5xl": (256, 32)}
HYDIT_MASKS = {"attention_mask": torch.ones(1, 77), "attention_mask_mt5xl": torch.ones(1, 256)}
HIDREAM = {
    "image_model": "hidream",
    "attention_head_dim": 128,
    "axes_dims_rope": [64, 32, 32],
    "caption_channels": [4096, 4096],
    "max_resolution": [128, 128],
    "in_channels": 16,
    "out_channels": 16,
    "llama_layers": [0, 1, 0, 1],
    "num_attention_heads": 20,
    "num_routed_experts": 4,
    "num_activated_experts": 2,
    "num_layers": 2,
    "num_single_layers": 2,
    "patch_size": 2,
    "text_emb_dim": 2048,
}
OMNIGEN = {
    "image_model": "omnigen2",
    "axes_dim_rope": [40, 40, 40],
    "axes_lens": [1024, 1664, 1664],
    "hidden_size": 2520,
    "num_attention_heads": 21,
    "num_kv_heads": 7,
    "num_layers": 2,
    "num_refiner_layers": 1,
    "text_feat_dim": 2048,
    "timestep_scale": 1000.0,
}
KANDINSKY = {
    "image_model": "kandinsky5",
    "model_dim": 2560,
    "time_dim": 512,
    "ff_dim": 10240,
    "visual_embed_dim": 64,
    "num_text_blocks": 1,
    "num_visual_blocks": 2,
    "axes_dims": (32, 48, 48),
    "rope_scale_factor": (1.0, 1.0, 1.0),
}


def small_adapter(network: torch.nn.Module) -> None:
    """Anima's text adapter comes in one size only."""
    model = importlib.import_module("comfy.ldm.anima.model")
    operations = importlib.import_module("comfy.ops").disable_weight_init
    small = {"source_dim": WIDTH, "target_dim": WIDTH, "model_dim": 32, "num_layers": 2, "num_heads": 2}
    network.llm_adapter = model.LLMAdapter(**small, dtype=network.dtype, operations=operations)
