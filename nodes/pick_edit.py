"""The best picture of a sweep."""

import torch
from PIL import Image
from torch import Tensor

from ..imagic.denoiser import Conditioning
from ..imagic.scoring import (
    Ranking,
    evaluations,
    explained_better,
    nearer_the_text,
    ranked,
    same_places,
    structure,
)
from . import inputs
from .charts import NO_CHART, ChartError, chart
from .contact_sheet import Cell, contact_sheet
from .host.denoiser import latent_channels
from .host.evaluating import evaluating
from .host.progress import counter, preview, text_sender
from .host.versions import smallest_side
from .host.vision import encode_pictures, encode_text
from .pictures import rgb, to_image, to_pictures

SHOWN, COLUMNS, CELL = 12, 4, 192  # pictures on the node, in a row, and pixels of each


class PickEdit:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Ranks the pictures of a sweep and gives the best: the one that the target text explains and that keeps the "
        "rest of the photo. Needs no extra model; with a CLIP Vision model it sees better."
    )
    SEARCH_ALIASES = ["imagic", "automatic eta", "best of", "choose image", "rank images"]
    INPUT_IS_LIST = True
    RETURN_TYPES = ("IMAGE", "FLOAT", "INT", "INT", "STRING", "IMAGE")
    RETURN_NAMES = ("image", "eta", "number", "batch_index", "ranking", "chart")
    OUTPUT_TOOLTIPS = (
        "The best picture.",
        "Its eta.",
        "Its number, for Edit Sheet: 1 is the first.",
        "Its place in the batch, 0 for the first: for Latent From Batch.",
        "All pictures with their scores, best first, as text.",
        "Alignment with the text against fidelity, a point a picture.",
    )
    FUNCTION = "pick"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": (
                    "MODEL",
                    {"tooltip": "The base model, not the tuned one, which has learned to see the photo everywhere."},
                ),
                "vae": ("VAE", {"tooltip": "The VAE that belongs to the model."}),
                "source": ("IMAGE", {"tooltip": "The photo."}),
                "images": ("IMAGE", {"tooltip": "The pictures to choose from, of a whole sweep, from VAE Decode."}),
                "optimized": (
                    "CONDITIONING",
                    {"tooltip": "The optimized conditioning from Optimize Embedding: the photo to the model."},
                ),
                "target": ("CONDITIONING", {"tooltip": "The target text, from CLIP Text Encode."}),
                "samples": (
                    "INT",
                    {
                        "default": 4,
                        "min": 1,
                        "max": 256,
                        "advanced": True,
                        "tooltip": "Noise samples with which each picture is looked at. 4-32; more is steadier, and "
                        "each costs two evaluations of the model.",
                    },
                ),
                # After the widget: older editors count an input like this one among the widgets of a saved workflow.
                "eta": (
                    "FLOAT",
                    {"forceInput": True, "tooltip": "The eta of the pictures, from Interpolate Embedding, to report."},
                ),
            },
            "optional": {
                "clip_vision": (
                    "CLIP_VISION",
                    {
                        "tooltip": "An image encoder (CLIP, SigLIP, DINO) from Load CLIP Vision, to see better what of "
                        "the photo is still in its place."
                    },
                ),
                "clip": (
                    "CLIP",
                    {
                        "tooltip": "The text encoder that was trained together with the CLIP Vision model, such as "
                        "that of SDXL with CLIP ViT-bigG, to see better whether a picture shows the text. The "
                        "diffusion model is then not asked."
                    },
                ),
                "text": (
                    "STRING",
                    {"default": "", "tooltip": "The target text in words, for the text encoder."},
                ),
            },
            "hidden": {"node_id": "UNIQUE_ID"},
        }

    @inputs.checked
    def pick(
        self,
        model,
        vae,
        source,
        images,
        optimized,
        target,
        eta,
        samples,
        clip_vision=None,
        clip=None,
        text=None,
        node_id=None,
    ):
        samples = samples[0]
        if len(eta) != len(images):
            raise ValueError(
                f"There are {len(images)} pictures and {len(eta)} eta: connect the eta of the Interpolate Embedding "
                "from which the pictures were sampled."
            )
        places = [(value, place) for value, batch in zip(eta, images, strict=True) for place in range(len(batch))]
        pictures = [picture for batch in images for picture in batch.split(1)]
        photo = source[0][:1]
        if clip is None:
            inputs.trainable(model[0])
            start, _ = inputs.single_entry(optimized[0], "optimized")
            end, fixed = inputs.single_entry(target[0], "target")
            for ends in (start, end):
                inputs.readable(model[0], ends)
        seen = encode_pictures(clip_vision[0], [rgb(each) for each in (photo, *pictures)]) if clip_vision else None
        words = (text or [""])[0].strip()
        if clip is not None:
            alignment, cost = _alignment_by_clip(seen, clip[0], words), 0
        if clip is None or seen is None:
            latents = _encode(vae[0], [photo, *pictures], latent_channels(model[0]), inputs.dimensions(model[0]))
        if clip is None:
            alignment = _alignment_by_model(model[0], latents, start, end, fixed, samples)
            cost = evaluations(len(pictures), samples)
        fidelity = structure(latents[:1], latents[1:]) if seen is None else same_places(seen[1][:1], seen[1][1:])
        ranking = ranked(alignment, fidelity, cost)
        best = ranking.order[0]
        several = len(pictures) > len(images)
        names = [f"eta {value:g}" + (f" #{place + 1}" if several else "") for value, place in places]
        lines = _lines(ranking, names)
        summary = {"number": best + 1, "forward_equivalents": ranking.forward_equivalents}
        # A chart that fails must not lose the result.
        try:
            drawn = _draw(ranking, names)
        except ChartError as error:
            drawn, lines = NO_CHART, f"{lines}\n{error}"
        value, place = places[best]
        result = (pictures[best], value, best + 1, place, lines, drawn)
        seen = preview(to_image(_sheet(ranking, names, pictures)))
        text_sender((node_id or [None])[0])(f"best: {lines.splitlines()[0].removeprefix('1. ')}")
        return {"ui": {"text": [lines], "imagic": [summary], **seen}, "result": result}


def _alignment_by_model(
    model, latents: Tensor, start: Conditioning, end: Conditioning, fixed: dict, samples: int
) -> Tensor:
    with evaluating(model, latents, [start, end], fixed) as (denoiser, clean, (start, end)):
        moved = counter(len(latents))
        return explained_better(denoiser, clean[:1], clean[1:], start, end, samples=samples, on_picture=moved)


def _alignment_by_clip(seen: tuple | None, clip, words: str) -> Tensor:
    if seen is None:
        raise ValueError("A CLIP alone sees no pictures: connect the CLIP Vision model that was trained with it, too.")
    if not words:
        raise ValueError("The text for the CLIP is empty: write the target text into text as well.")
    meant = encode_text(clip, words)
    if meant.shape[1] != seen[0].shape[1]:
        raise ValueError(
            f"This CLIP ({meant.shape[1]}) and this CLIP Vision model ({seen[0].shape[1]}) were not trained together: "
            "connect a pair of the same kind, or the CLIP Vision model alone."
        )
    return nearer_the_text(seen[0][:1], seen[0][1:], meant)


def _encode(vae, pictures: list[Tensor], channels: int, dimensions: int) -> Tensor:
    least = smallest_side(vae)
    for picture in pictures:
        height, width = picture.shape[1:3]
        if min(height, width) < least:
            raise ValueError(
                f"A picture is {width} x {height}: this VAE needs at least {least} x {least} pixels, so connect "
                "larger ones."
            )
    latents = [vae.encode(rgb(picture)) for picture in pictures]
    for latent in latents:
        inputs.photo({"samples": latent}, channels, dimensions)
        if latent.shape != latents[0].shape:
            raise ValueError("The source and the pictures differ in size: connect the photo that was encoded.")
    return torch.cat(latents)


def _lines(ranking: Ranking, names: list[str]) -> str:
    return "\n".join(
        f"{rank}. {names[n]}: alignment {ranking.alignment[n]:.4f}, fidelity {ranking.fidelity[n]:.3f}"
        for rank, n in enumerate(ranking.order, 1)
    )


def _sheet(ranking: Ranking, names: list[str], pictures: list[Tensor]) -> Image.Image:
    """The best pictures in their order, the winner framed: what the node itself shows."""
    cells = [
        Cell(
            f"{rank}. {names[n].replace('eta', 'strength')}, fidelity {ranking.fidelity[n]:.2f}",
            to_pictures(pictures[n])[0],
            framed=rank == 1,
        )
        for rank, n in enumerate(ranking.order[:SHOWN], 1)
    ]
    return contact_sheet([cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)], CELL)


def _draw(ranking: Ranking, names: list[str]) -> Tensor:
    with chart("Which edit?") as (axes, image):
        x, y, best = ranking.alignment.tolist(), ranking.fidelity.tolist(), ranking.order[0]
        axes.scatter(x, y, color="tab:blue")
        axes.scatter(x[best], y[best], s=160, facecolor="none", edgecolor="tab:green", linewidth=3, label="best")
        axes.axvline(ranking.threshold, color="tab:orange", linestyle="--", label="shows the edit from here on")
        for name, *point in zip(names, x, y, strict=True):
            axes.annotate(name, point, (6, 6), textcoords="offset points")
        axes.set_xlabel("alignment: how much better than the photo the picture shows the target text")
        axes.set_ylabel("fidelity: agreement with the photo, place by place")
        axes.margins(0.12)
        axes.legend()
        return image()
