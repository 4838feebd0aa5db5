"""The flow model, of Stable Diffusion 3's kind, by the host's own loader of such models."""

from pathlib import Path

import comfy.latent_formats
import comfy.sd
import torch

from . import demo_model

FOLDER = Path(__file__).parents[2] / "demo" / "flow_model"


def load(folder: Path = FOLDER) -> tuple:
    """MODEL, CLIP and VAE of the flow model, fp32.

    Raises:
        RuntimeError: the host is of before autumn 2024, and too old for such models.
        FileNotFoundError: the pack was installed without its weights, as a package of ComfyUI's registry is.
    """
    if not hasattr(comfy.sd, "load_diffusion_model_state_dict"):
        raise RuntimeError(
            "This ComfyUI is too old for models like Stable Diffusion 3: update it, or choose the other demo model."
        )
    if not (folder / "transformer").is_dir():
        raise FileNotFoundError(
            f"The flow model is not part of the installed package: copy demo/flow_model from the pack's repository to "
            f"{folder}, or choose the other demo model."
        )
    return demo_model.assembled(folder, _model, comfy.latent_formats.SD3)


def _model(folder: Path):
    weights = demo_model.read_weights(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    patcher = comfy.sd.load_diffusion_model_state_dict(weights, model_options={"dtype": torch.float32})
    demo_model.preview_with_own_colours(patcher.model.latent_format, folder)
    return patcher
