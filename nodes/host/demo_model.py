"""The bundled demo model as the host's own classes, on any host, without a converter of ours.

Its weights are in diffusers layout; every name is translated by the host's own tables.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.utils
import folder_paths
import torch
from safetensors.torch import load_file
from torch import Tensor

FOLDER = Path(__file__).parents[2] / "demo" / "model"


def load(folder: Path = FOLDER) -> tuple:
    """MODEL, CLIP and VAE of the demo model, fp32.

    Raises:
        FileNotFoundError: the pack was installed without its weights.
    """
    if not (folder / "unet").is_dir():
        raise FileNotFoundError(
            f"The demo model is missing from {folder}: install the pack again, or make it with `make demo-model`."
        )
    return assembled(folder, _model, comfy.latent_formats.SD15)


def assembled(folder: Path, load_model: Callable, latent_format: type) -> tuple:
    """MODEL, CLIP and VAE of a folder in diffusers layout, whose model `load_model(folder)` gives."""
    load_vae = functools.partial(_vae, latent_format=latent_format)
    model, clip, vae = load_model(folder), _clip(folder / "text_encoder"), load_vae(folder / "vae")
    # How to load another one, as the host's own loaders leave it: Train LoRA and several GPUs ask for one of their own.
    model.cached_patcher_init = (_anew, (load_model, folder))
    clip.patcher.cached_patcher_init = (_anew, (_clip, folder / "text_encoder"))
    vae.patcher.cached_patcher_init = (_anew, (load_vae, folder / "vae"))
    return model, clip, vae


def _anew(load: Callable, folder: Path, disable_dynamic: bool = False):
    """The patcher of a part loaded again. Whether it may stream its weights in makes no difference at this size."""
    part = load(folder)
    return getattr(part, "patcher", part)


class DemoConfig(comfy.supported_models_base.BASE):
    """SD 1.5 in small. Not derived from the host's SD15, whose number of heads would come along."""

    unet_extra_config = {}
    latent_format = comfy.latent_formats.SD15


def _model(folder: Path):
    shape = _read(folder / "unet" / "config.json")
    channels, layers = shape["block_out_channels"], shape["layers_per_block"]
    attends = [int("CrossAttn" in name) for name in shape["down_block_types"]]
    config = DemoConfig(
        {
            "image_size": shape["sample_size"],
            "in_channels": shape["in_channels"],
            "out_channels": shape["out_channels"],
            "model_channels": channels[0],
            "channel_mult": [width // channels[0] for width in channels],
            "num_res_blocks": [layers for _ in channels],
            "transformer_depth": [depth for depth in attends for _ in range(layers)],
            "transformer_depth_output": [depth for depth in attends for _ in range(layers + 1)],
            "transformer_depth_middle": 1,
            "num_heads": shape["attention_head_dim"],  # diffusers' historical name for the number of heads
            "context_dim": shape["cross_attention_dim"],
            "use_spatial_transformer": True,
            "use_linear_in_transformer": False,
            "use_temporal_attention": False,
            "use_checkpoint": False,
            "legacy": False,
            "adm_in_channels": None,
            "dtype": torch.float32,
        }
    )
    preview_with_own_colours(config.latent_format, folder)

    load_device = comfy.model_management.get_torch_device()
    offload_device = comfy.model_management.unet_offload_device()
    model = comfy.model_base.BaseModel(config, comfy.model_base.ModelType.EPS, device=offload_device)
    weights = read_weights(folder / "unet" / "diffusion_pytorch_model.safetensors")
    names = comfy.utils.unet_to_diffusers(config.unet_config)
    model.diffusion_model.load_state_dict({names[name]: weight for name, weight in weights.items()})
    model.eval()
    # Never the kind that streams weights in: this model is smaller than the buffers for it.
    return comfy.model_patcher.ModelPatcher(model, load_device=load_device, offload_device=offload_device)


def preview_with_own_colours(latent_format: comfy.latent_formats.LatentFormat, folder: Path) -> None:
    """In the graph editor: by this model's own map from latents to colours, not Stable Diffusion's."""
    colours = _read(folder / "latent_rgb.json")
    latent_format.latent_rgb_factors = colours["latent_rgb_factors"]
    latent_format.latent_rgb_factors_bias = colours["latent_rgb_factors_bias"]
    latent_format.taesd_decoder_name = None


def _clip(folder: Path):
    config = _read(folder / "config.json")
    length = config["max_position_embeddings"]

    class TextModel(comfy.sd1_clip.SDClipModel):
        """The host's CLIP text model in the size the demo model's config states."""

        def __init__(self, device="cpu", dtype=None, **options):
            path = str(folder / "config.json")
            super().__init__(device=device, dtype=dtype, max_length=length, textmodel_json_config=path, **options)

    class ClipModel(comfy.sd1_clip.SD1ClipModel):
        def __init__(self, device="cpu", dtype=None, **options):
            super().__init__(device=device, dtype=dtype, clip_model=TextModel, **options)

    class Tokenizer(comfy.sd1_clip.SDTokenizer):
        def __init__(self, **options):
            super().__init__(max_length=length, embedding_size=config["hidden_size"], **options)

    class Target:
        params = {}
        clip = ClipModel
        tokenizer = functools.partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=Tokenizer)

    clip = comfy.sd.CLIP(Target, embedding_directory=folder_paths.get_folder_paths("embeddings"))
    weights = all_token_rows(read_weights(folder / "model.safetensors"), config["vocab_size"])
    # The model has no projection of its pooled text; newer hosts leave theirs as whatever was in memory.
    clip.load_sd({**weights, "text_projection.weight": torch.eye(config["hidden_size"])})
    return clip


def all_token_rows(weights: dict[str, Tensor], vocabulary: int) -> dict[str, Tensor]:
    """Restore the full token table [vocabulary, width] from the rows in use; the last row stands for all others."""
    weights = dict(weights)
    ids = weights.pop("token_ids").long()
    name = "text_model.embeddings.token_embedding.weight"
    rows = weights[name]
    table = rows[-1].repeat(vocabulary, 1)
    table[ids] = rows[:-1]
    return {**weights, name: table}


def _vae(folder: Path, latent_format: type):
    weights = {}
    for name, weight in read_weights(folder / "diffusion_pytorch_model.safetensors").items():
        part, _, index, rest = name.split(".", 3)
        # The host's decoder starts with the clamp that diffusers applies outside of its list.
        weights[f"taesd_{part}.{int(index) + (part == 'decoder')}.{rest}"] = weight
    # The host's latent format undoes both again on the way into the model.
    known = latent_format()
    weights["vae_scale"] = torch.tensor(known.scale_factor)
    weights["vae_shift"] = torch.tensor(getattr(known, "shift_factor", 0.0))
    return comfy.sd.VAE(sd=weights)


def read_weights(path: Path) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
