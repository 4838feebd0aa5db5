"""The diffusion model and its text encoder, trained together from nothing."""

from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from demo import load, words
from demo.scenes import Scene, caption
from demo.training.loop import device_of, fit

WIDTH = 128  # of a token's embedding

# Token ids run through this table of compact ones while training: rows of words never seen would only cost time.
_ROW = {token: row for row, token in enumerate(words.TOKEN_IDS)}
_NEUTRAL = len(_ROW)

_BATCH = 32
_DROPPED_CAPTIONS = 0.1  # for classifier-free guidance
_HIDDEN_WORDS = 0.02  # teach the neutral row to mean nothing
_LARGEST_WEIGHTED_SNR = 5.0


def scheduler() -> DDIMScheduler:
    """Stable Diffusion 1.5's noise schedule."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="epsilon",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def unet() -> UNet2DConditionModel:
    """Stable Diffusion 1.5's network at a fifth of its width and one layer a block.

    No attention among the 256 positions of the finest level: it would take two fifths of every training step.
    """
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 128, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # which diffusers reads as the number of heads
        norm_num_groups=32,
    )


def text_config(rows: int, start: int, end: int, length: int = words.LENGTH) -> CLIPTextConfig:
    """`rows` in the embedding table, of which `start` and `end` open and close a text of `length`."""
    return CLIPTextConfig(
        vocab_size=rows,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=length,
        hidden_act="quick_gelu",
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
    )


def texts(scenes: list[Scene], rng: np.random.Generator, length: int = words.LENGTH) -> Tensor:
    """Loose captions as rows of the compact table (N, length), some of them empty, a word here and there unknown."""
    dropped = rng.random(len(scenes)) < _DROPPED_CAPTIONS
    captions = ["" if d else caption(s.attributes, rng) for d, s in zip(dropped, scenes, strict=True)]
    rows = np.array([[_ROW.get(token, _NEUTRAL) for token in words.encode(text, length)] for text in captions])
    is_word = rows > _ROW[words.END]
    rows[is_word & (rng.random(rows.shape) < _HIDDEN_WORDS)] = _NEUTRAL
    return torch.from_numpy(rows)


def text_encoder(length: int = words.LENGTH) -> CLIPTextModel:
    """With random weights and a compact table of embeddings."""
    config = text_config(_NEUTRAL + 1, _ROW[words.START], _ROW[words.END], length)
    # Plain attention: on a CPU the fused kernel's backward pass is slower at so few positions.
    config._attn_implementation = "eager"
    return CLIPTextModel(config)


def new(seed: int) -> nn.ModuleDict:
    """{"unet", "text"} with random weights."""
    torch.manual_seed(seed)
    network = nn.ModuleDict({"unet": unet().to(memory_format=torch.channels_last), "text": text_encoder()})
    network["unet"].set_attn_processor(AttnProcessor())
    return network


def bundled() -> nn.ModuleDict:
    """As `new`, with the weights of the bundled model."""
    network = new(0)
    network["unet"].load_state_dict(load.unet().state_dict())
    # The file's rows of embeddings are the compact table's, in its order.
    weights = load.compact_text_encoder_tensors()
    own = network["text"].state_dict()
    network["text"].load_state_dict({name: weights[f"text_model.{name.removeprefix('text_model.')}"] for name in own})
    return network


def train(
    network: nn.ModuleDict, scenes: list[Scene], latents: Tensor, *, steps: int, seed: int, folder: Path
) -> nn.ModuleDict:
    """Train on latents (N, 4, 16, 16) of `scenes`."""
    device = device_of(network)
    noising = scheduler()
    snr = noising.alphas_cumprod / (1 - noising.alphas_cumprod)
    # Min-SNR weighting (arXiv 2303.09556): without it, the faintest noise takes most of the gradient.
    weights = (_LARGEST_WEIGHTED_SNR / snr).clamp(max=1)

    def loss(network: nn.Module, generator: torch.Generator, progress: float) -> Tensor:
        which = torch.randint(len(scenes), (_BATCH,), generator=generator)
        clean = latents[which]
        rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        rows = texts([scenes[i] for i in which.tolist()], rng)
        # One timestep from each of 32 equal shares of the schedule: less noise in the loss than from free draws.
        times = (torch.arange(_BATCH) + torch.rand(_BATCH, generator=generator)) / _BATCH
        times = (times * len(snr)).long()
        noise = torch.randn(clean.shape, generator=generator)
        noisy = noising.add_noise(clean, noise, times).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            context = network["text"](rows.to(device)).last_hidden_state
            predicted = network["unet"](noisy.to(device), times.to(device), context).sample.float()
        error = (predicted - noise.to(device)).square().mean(dim=(1, 2, 3))
        return (weights[times].to(device) * error).mean()

    return fit(
        "diffusion",
        network,
        loss,
        steps=steps,
        rate=1e-3,
        averaging=0.999,
        seed=seed,
        folder=folder,
        weight_decay=0.01,
        warmup=200,
    )
