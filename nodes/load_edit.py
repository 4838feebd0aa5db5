"""Goes on with a tuning from a file."""

import logging

from torch import Tensor

from ..imagic import edit_file
from ..imagic.checks import quoted
from ..imagic.edit_fit import Takes, check_fit
from . import inputs
from .host import edits
from .host.denoiser import latent_channels
from .host.lora import LayersLeftOut, apply_update
from .host.progress import text_sender


class LoadEdit:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Loads what Save Imagic Edit saved: the tuned model, the embedding and the text, ready for Interpolate "
        "Embedding. Nothing is trained again."
    )
    SEARCH_ALIASES = ["imagic", "load lora", "load conditioning", "import edit", "resume"]
    RETURN_TYPES = ("MODEL", "CONDITIONING", "CONDITIONING", "LORA_MODEL", "IMAGE")
    RETURN_NAMES = ("model", "optimized", "anchor", "lora", "source")
    OUTPUT_TOOLTIPS = (
        "The tuned model: the base with the saved tuning as patches.",
        "The optimized conditioning: the photo in the model's language (eta 0).",
        "The text that Optimize Embedding started from: the target, or a caption of the photo.",
        "The tuning alone, for Tuning Strength or Save LoRA.",
        "A small picture of the photo.",
    )
    FUNCTION = "load"
    FILES = ("edit",)  # which the folder's listing checks, see `inputs.checked`

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "The base model that the edit was tuned on. It is not changed."}),
                "edit": (edits.names(), {"tooltip": "A file in output/imagic, newest first."}),
                "strength": (
                    "FLOAT",
                    {
                        "default": 1.0,
                        "min": -2.0,
                        "max": 2.0,
                        "step": 0.05,
                        "display": "slider",
                        "display_name": "tuning strength",
                        "advanced": True,
                        "tooltip": "Of the tuning: 1 is as trained, 0 the base model. 0.7-1; lower frees the edit and "
                        "keeps less of the photo.",
                    },
                ),
            },
            "hidden": {"node_id": "UNIQUE_ID"},
        }

    @classmethod
    def IS_CHANGED(cls, edit, **_):
        if edit is None:  # linked: the host does not know it yet
            return ""
        path = edits.path_of(edit)
        return f"{path.stat().st_mtime_ns} {path.stat().st_size}" if path.is_file() else ""

    @inputs.checked
    def load(self, model, edit, strength, node_id=None):
        path = edits.path_of(edit)
        edits.sweep()
        saved = edit_file.load(path, edits.parameters_of(model))
        base, name = edits.base_of(model), quoted(saved.about["base"]) or "an unknown checkpoint"
        # diffusers and ComfyUI key names differ, so skip the fingerprint. The host checks that every layer fits.
        by_diffusers = "pipeline" in saved.about
        another_kind = ValueError(f"{edit} was tuned on {name}, a model of another kind: load that checkpoint.")
        if not by_diffusers and not saved.base.same_kind(base):
            raise another_kind
        if not by_diffusers and not saved.base.same_weights(base):
            warning = f"{edit} was tuned on {name}, and this is another checkpoint: the edit may not look as it did."
            logging.warning(warning)
            text_sender(node_id)(warning)
        try:
            tuned = apply_update(model, saved.update, strength)
        except LayersLeftOut:
            if by_diffusers:
                raise another_kind from None
            raise ValueError(f"The LoRA in {edit} is of another model than the edit: save it again.") from None
        check_fit(saved, edit, Takes(latent_channels(model), inputs.dimensions(model)))
        optimized = _conditioning(model, edit, saved.optimized, saved.about.get("optimized", {}))
        anchor = _conditioning(model, edit, saved.anchor, saved.about.get("anchor", {}))
        return tuned, optimized, anchor, saved.update, saved.preview[None].float() / 255


def _conditioning(model, edit: str, tensors: dict[str, Tensor], rest: dict) -> list:
    """A CONDITIONING as Save Imagic Edit was given it."""
    tensors = dict(tensors)
    conditioning = [[tensors.pop("cross_attn"), {**rest, **tensors}]]
    try:
        text, _ = inputs.single_entry(conditioning)
        inputs.readable(model, text)
    except ValueError:  # a file with the right checksum, but none that Save Imagic Edit wrote for this model
        raise ValueError(f"{edit} holds no text of this model: save it again.") from None
    return conditioning
