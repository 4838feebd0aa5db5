"""Tiny pipelines with random weights, of the real classes of diffusers and transformers, and nothing downloaded."""

import string

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    DDIMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PNDMScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

LETTERS = list(string.ascii_lowercase)
# Stable Diffusion's.
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
# Those of the checkpoints.
FLUX_SHIFT = {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}
QWEN_SHIFT = {"shift": 1.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 0.9, "shift_terminal": 0.02}
QWEN_SHIFT |= {"base_image_seq_len": 256, "max_image_seq_len": 8192, "time_shift_type": "exponential"}


def clip_tokenizer() -> CLIPTokenizer:
    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def t5_tokenizer() -> T5TokenizerFast:
    pieces = ["<pad>", "</s>", "<unk>", "▁", *LETTERS]
    return T5TokenizerFast(vocab=[(piece, -1.0) for piece in pieces], extra_ids=0)


def qwen_tokenizer() -> Qwen2Tokenizer:
    tokens = [*LETTERS, "Ġ", "Ċ", *"<>|_.:,", "<|endoftext|>"]
    return Qwen2Tokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])


def clip(kind: type = CLIPTextModel):
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokens = {"vocab_size": 54, "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    return kind(CLIPTextConfig(**sizes, **tokens, projection_dim=16, max_position_embeddings=77))


def t5() -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=30, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2))


def qwen() -> Qwen2_5_VLForConditionalGeneration:
    text = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 1}
    text["rope_parameters"] = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision))


def vae(channels: int, **changes) -> AutoencoderKL:
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    return AutoencoderKL(
        block_out_channels=(8, 8), norm_num_groups=4, latent_channels=channels, sample_size=32, **blocks, **changes
    )


def unet(**changes) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=(2, 4),
        **{"cross_attention_dim": 16, **changes},
    )


def stable_diffusion(scheduler=None) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae(4),
        clip(),
        clip_tokenizer(),
        unet(),
        scheduler or DDIMScheduler(**BETAS, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_2() -> StableDiffusionPipeline:
    """As 2.1 is published: velocity, linear projections, and PNDM, whose config says nothing of clipping."""
    pipeline = stable_diffusion(PNDMScheduler(**BETAS, prediction_type="v_prediction", skip_prk_steps=True))
    pipeline.register_modules(unet=unet(use_linear_projection=True))
    return pipeline


def stable_diffusion_xl() -> StableDiffusionXLPipeline:
    addition = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    return StableDiffusionXLPipeline(
        vae(4, force_upcast=True),
        clip(),
        clip(CLIPTextModelWithProjection),
        clip_tokenizer(),
        clip_tokenizer(),
        unet(
            cross_attention_dim=32,
            transformer_layers_per_block=(1, 2),
            use_linear_projection=True,
            projection_class_embeddings_input_dim=6 * 8 + 16,
            **addition,
        ),
        DDIMScheduler(**BETAS, clip_sample=False),
    )


def stable_diffusion_3() -> StableDiffusion3Pipeline:
    transformer = SD3Transformer2DModel(
        sample_size=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pooled_projection_dim=32,
        pos_embed_max_size=16,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    encoders = clip(CLIPTextModelWithProjection), clip(CLIPTextModelWithProjection), t5()
    return StableDiffusion3Pipeline(
        transformer,
        FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae(16, scaling_factor=1.5305, shift_factor=0.0609),
        encoders[0],
        clip_tokenizer(),
        encoders[1],
        clip_tokenizer(),
        encoders[2],
        t5_tokenizer(),
    )


def flux(guidance_embeds: bool = True) -> FluxPipeline:
    transformer = FluxTransformer2DModel(
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=16,
        guidance_embeds=guidance_embeds,
        axes_dims_rope=(4, 6, 6),
    )
    scheduler = FlowMatchEulerDiscreteScheduler(**FLUX_SHIFT) if guidance_embeds else FlowMatchEulerDiscreteScheduler()
    autoencoder = vae(16, scaling_factor=0.3611, shift_factor=0.1159)
    return FluxPipeline(scheduler, autoencoder, clip(), clip_tokenizer(), t5(), t5_tokenizer(), transformer)


def flux_schnell() -> FluxPipeline:
    return flux(guidance_embeds=False)


def qwen_image() -> QwenImagePipeline:
    transformer = QwenImageTransformer2DModel(
        num_layers=2, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=16, axes_dims_rope=(4, 6, 6)
    )
    sizes = {"base_dim": 8, "dim_mult": [1, 1], "num_res_blocks": 1, "temperal_downsample": [False]}
    scheduler = FlowMatchEulerDiscreteScheduler(**QWEN_SHIFT)
    return QwenImagePipeline(scheduler, AutoencoderKLQwenImage(**sizes), qwen(), qwen_tokenizer(), transformer)


FAMILIES = {
    "Stable Diffusion 1": stable_diffusion,
    "Stable Diffusion 2": stable_diffusion_2,
    "SDXL": stable_diffusion_xl,
    "SD3": stable_diffusion_3,
    "Flux dev": flux,
    "Flux schnell": flux_schnell,
    "Qwen-Image": qwen_image,
}


def build(name: str) -> DiffusionPipeline:
    """A pipeline with the same weights every time, ready to draw."""
    torch.manual_seed(0)
    pipeline = FAMILIES[name]()
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipeline
