"""The flow model's transformer and its text encoder, trained together from nothing."""

from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from demo import words
from demo.scenes import Scene
from demo.training.loop import device_of, fit
from demo.training.text_to_image import WIDTH, text_encoder, texts

CHANNELS = 16  # of a latent
SHIFT = 3.0  # of the noise levels, as in Stable Diffusion 3

_TEXT_RMS = 0.2  # of a token's embedding, as T5's; CLIP's is about 1
_BATCH = 64


class PlainAttention:
    """Joint attention in two products: on a CPU the fused kernel's backward pass is slower at so few positions."""

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor, attention_mask: None = None
    ) -> tuple[Tensor, Tensor]:
        image, text = hidden_states, encoder_hidden_states

        def heads(of_image: nn.Module, of_text: nn.Module) -> list[Tensor]:
            return [layer(x).unflatten(-1, (attn.heads, -1)) for layer, x in ((of_image, image), (of_text, text))]

        def joint(parts: list[Tensor]) -> Tensor:
            return torch.cat(parts, dim=1).transpose(1, 2)

        image_query, text_query = heads(attn.to_q, attn.add_q_proj)
        image_key, text_key = heads(attn.to_k, attn.add_k_proj)
        query = joint([attn.norm_q(image_query), attn.norm_added_q(text_query)])
        key = joint([attn.norm_k(image_key), attn.norm_added_k(text_key)])
        value = joint(heads(attn.to_v, attn.add_v_proj))
        seen = (query @ key.mT * query.shape[-1] ** -0.5).softmax(-1) @ value
        image, text = seen.transpose(1, 2).flatten(2).split([image.shape[1], text.shape[1]], dim=1)
        return attn.to_out[0](image), text if attn.context_pre_only else attn.to_add_out(text)


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Stable Diffusion 3's noise schedule."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=SHIFT)


def transformer() -> SD3Transformer2DModel:
    """Stable Diffusion 3's network, 4 blocks of width 256, with the normalised queries and keys of 3.5."""
    network = SD3Transformer2DModel(
        sample_size=32,  # so that neighbours among the 16 x 16 places lie 1 apart, and not half of that
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_layers=4,
        attention_head_dim=64,
        num_attention_heads=4,
        joint_attention_dim=WIDTH,
        caption_projection_dim=256,
        pooled_projection_dim=WIDTH,
        pos_embed_max_size=16,
        qk_norm="rms_norm",
    )
    network.register_to_config(sample_size=16)  # the usual picture has 8 x 8 patches, from the middle
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    # adaLN-zero (arXiv 2212.09748): every block starts as the identity.
    norms = [norm for block in network.transformer_blocks for norm in (block.norm1, block.norm1_context)]
    for layer in (*(norm.linear for norm in norms), network.norm_out.linear, network.proj_out):
        nn.init.zeros_(layer.weight)
    return network


def new(seed: int) -> nn.ModuleDict:
    """{"transformer", "text"} with random weights, the text encoder with a compact table of embeddings."""
    torch.manual_seed(seed)
    network = nn.ModuleDict({"transformer": transformer(), "text": text_encoder(words.FLOW_LENGTH)})
    network["transformer"].set_attn_processor(PlainAttention())
    last = getattr(network["text"], "text_model", network["text"]).final_layer_norm
    # Fixed, so that the scale of the texts is known and not learnt.
    last.requires_grad_(False)
    last.weight.fill_(_TEXT_RMS)
    return network


def levels(count: int, generator: torch.Generator) -> Tensor:
    """Noise levels in (0, 1), one from each of `count` equal shares of Stable Diffusion 3's density: (count,).

    Logit-normal, then shifted (Esser et al. 2024, arXiv 2403.03206, sections 3.1 and 5.3.2).
    """
    shares = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    level = torch.special.ndtri(shares.double().clamp(1e-4, 1 - 1e-4)).sigmoid().float()
    return SHIFT * level / (1 + (SHIFT - 1) * level)


def velocity_loss(network: nn.ModuleDict, clean: Tensor, noise: Tensor, level: Tensor, rows: Tensor) -> Tensor:
    """Mean squared error of the predicted velocity, noise - clean, of latents (N, C, H, W) at levels (N,)."""
    at = level[:, None, None, None]
    text = network["text"](rows)
    predicted = network["transformer"](
        (1 - at) * clean + at * noise, text.last_hidden_state, text.pooler_output, 1000 * level
    ).sample
    return (predicted.float() - (noise - clean)).square().mean()


def train(
    network: nn.ModuleDict,
    scenes: list[Scene],
    latents: Tensor,
    *,
    steps: int,
    horizon: int,
    cooldown: int,
    seed: int,
    folder: Path,
) -> nn.ModuleDict:
    """Train on latents (N, C, 16, 16) of `scenes`; `horizon` and `cooldown` as `fit` has them."""
    device = device_of(network)

    def loss(network: nn.Module, generator: torch.Generator, progress: float) -> Tensor:
        which = torch.randint(len(scenes), (_BATCH,), generator=generator)
        rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        rows = texts([scenes[i] for i in which.tolist()], rng, words.FLOW_LENGTH)
        level = levels(_BATCH, generator)
        noise = torch.randn(_BATCH, *latents.shape[1:], generator=generator)
        with torch.autocast(device.type, torch.bfloat16):
            return velocity_loss(network, *(x.to(device) for x in (latents[which], noise, level, rows)))

    return fit(
        "flow",
        network,
        loss,
        steps=steps,
        rate=1e-3,
        averaging=0.999,
        seed=seed,
        folder=folder,
        weight_decay=0.01,
        warmup=400,
        horizon=horizon,
        cooldown=cooldown,
    )
