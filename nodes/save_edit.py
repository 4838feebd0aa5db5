"""Keeps a finished tuning in a file."""

import torch
from torch import Tensor

from ..imagic import edit_file
from . import inputs, origin, pictures
from .contact_sheet import Cell, contact_sheet
from .host import edits
from .host.denoiser import latent_channels
from .host.lora import of_this_model
from .host.progress import preview, text_sender

PREVIEW_SIZE = 256


class SaveEdit:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Saves what Imagic learned about a photo (embedding, tuning, settings and a small picture of the source) as "
        "one file in output/imagic, so that Load Imagic Edit can go on without training."
    )
    SEARCH_ALIASES = ["imagic", "save lora", "save conditioning", "export edit"]
    RETURN_TYPES = ()
    OUTPUT_NODE = True
    OUTPUT_TOOLTIPS = ()
    FUNCTION = "save"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "The base model, the one that was tuned: to recognize it again."}),
                "optimized": ("CONDITIONING", {"tooltip": "The optimized conditioning from Optimize Embedding."}),
                "anchor": ("CONDITIONING", {"tooltip": "The text that Optimize Embedding started from."}),
                "lora": ("LORA_MODEL", {"tooltip": "The tuning, from Fine-Tune UNet."}),
                "source": ("IMAGE", {"tooltip": "The photo; a picture of 256 pixels is kept."}),
                "name": (
                    "STRING",
                    {
                        "default": "edit",
                        "tooltip": "Name of the file below output/imagic; a number is added. Folders by a slash.",
                    },
                ),
            },
            "optional": {
                "latent": (
                    "LATENT",
                    {
                        "tooltip": "The photo, from VAE Encode. With it, the edit opens in Python without the photo's "
                        "file."
                    },
                ),
            },
            "hidden": {"node_id": "UNIQUE_ID", "graph": "PROMPT"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, name=None):
        # Before anything is trained; a name that comes over a link is known only then.
        try:
            return name is None or bool(edits.check_name(name))
        except (ValueError, OSError) as error:
            return str(error)

    @inputs.checked
    def save(self, model, optimized, anchor, lora, source, name, latent=None, node_id=None, graph=None):
        of_this_model(model, lora)
        kept = None
        if latent is not None:
            samples = inputs.photo(latent, latent_channels(model), inputs.dimensions(model))
            kept = model.model.process_latent_in(samples).float()
        optimized_tensors, optimized_rest = _split("optimized", optimized)
        anchor_tensors, anchor_rest = _split("anchor", anchor)
        (photo, *_) = pictures.to_pictures(source)
        graph = edits.may_tell(graph)
        small = photo.copy()
        small.thumbnail((PREVIEW_SIZE, PREVIEW_SIZE))
        edit = edit_file.Edit(
            optimized=optimized_tensors,
            anchor=anchor_tensors,
            update=lora,
            preview=(pictures.to_image(small)[0] * 255).round().to(torch.uint8),
            base=edits.base_of(model),
            photo=kept,
            about={
                "base": origin.checkpoint(graph, node_id),
                "settings": origin.settings(graph, node_id),
                "size": photo.size,
                "optimized": optimized_rest,
                "anchor": anchor_rest,
            },
        )
        path = edits.path_to_save(name)
        edit_file.save(edit, path)
        saved = path.relative_to(edits.folder()).as_posix()
        where = f"saved as output/imagic/{saved}"
        text_sender(node_id)(where)
        seen = preview(pictures.to_image(contact_sheet([[Cell(where, small)]], 2 * PREVIEW_SIZE)))
        return {"ui": {"text": [where], "imagic": [{"edit": saved}], **seen}}


def _split(name: str, conditioning: list) -> tuple[dict[str, Tensor], dict]:
    """The tensors of a CONDITIONING's one entry, and the rest of it, which has to fit into JSON."""
    text, fixed = inputs.single_entry(conditioning, name)
    tensors = {name: value for name, value in fixed.items() if isinstance(value, Tensor)}
    rest = {name: value for name, value in fixed.items() if name not in tensors}
    for key, value in rest.items():
        if not isinstance(value, str | int | float | None):
            raise ValueError(
                f"The {name} conditioning carries {key}, which a file cannot hold: connect Optimize Embedding and "
                "CLIP Text Encode directly, and add it after Load Imagic Edit."
            )
    return {**text, **tensors}, rest
