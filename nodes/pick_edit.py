"""The best picture of a sweep."""

import torch

from ..imagic.scoring import Ranking, rank
from . import inputs
from .charts import chart
from .host.training import counter, latent_channels, training


class PickEdit:
    CATEGORY = "Imagic"
    DESCRIPTION = (
        "Ranks the pictures of a sweep and gives the best: the one that the target text explains and that keeps the "
        "rest of the photo. Needs no extra model."
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
                "eta": (
                    "FLOAT",
                    {"forceInput": True, "tooltip": "The eta of the pictures, from Interpolate Embedding, to report."},
                ),
                "samples": (
                    "INT",
                    {
                        "default": 8,
                        "min": 1,
                        "max": 256,
                        "advanced": True,
                        "tooltip": "Noise samples with which each picture is looked at. 8-32; more is steadier, and "
                        "each costs two evaluations of the model.",
                    },
                ),
            },
            "hidden": {"node_id": "UNIQUE_ID"},
        }

    def pick(self, model, vae, source, images, optimized, target, eta, samples, node_id=None):
        model, samples = model[0], samples[0]
        inputs.within("samples", samples, 1, 256)
        if len(eta) != len(images):
            raise ValueError(
                f"There are {len(images)} pictures and {len(eta)} eta: connect the eta of the Interpolate Embedding "
                "from which the pictures were sampled."
            )
        start, _ = inputs.single_entry(optimized[0])
        end, fixed = inputs.single_entry(target[0])
        places = [(value, place) for value, batch in zip(eta, images, strict=True) for place in range(len(batch))]
        pictures = [picture for batch in images for picture in batch.split(1)]
        latents = _encode(vae[0], [source[0][:1], *pictures], latent_channels(model))
        with training(model, latents, end, fixed) as (denoiser, clean, end):
            start = {name: tensor.to(clean.device) for name, tensor in start.items()}
            ranking = rank(
                denoiser, clean[:1], clean[1:], start, end, samples=samples, on_picture=counter(len(latents))
            )
        best = ranking.order[0]
        several = len(pictures) > len(images)
        names = [f"eta {value:g}" + (f" #{place + 1}" if several else "") for value, place in places]
        text = _lines(ranking, names)
        summary = {"number": best + 1, "forward_equivalents": ranking.forward_equivalents}
        value, place = places[best]
        result = (pictures[best], value, best + 1, place, text, _draw(ranking, names))
        return {"ui": {"text": [text], "imagic": [summary]}, "result": result}


def _encode(vae, pictures: list[torch.Tensor], channels: int) -> torch.Tensor:
    latents = [vae.encode(picture[..., :3]) for picture in pictures]
    for latent in latents:
        inputs.photo({"samples": latent}, channels)
        if latent.shape != latents[0].shape:
            raise ValueError("The source and the pictures differ in size: connect the photo that was encoded.")
    return torch.cat(latents)


def _lines(ranking: Ranking, names: list[str]) -> str:
    return "\n".join(
        f"{rank}. {names[n]}: alignment {ranking.alignment[n]:.4f}, fidelity {ranking.fidelity[n]:.3f}"
        for rank, n in enumerate(ranking.order, 1)
    )


def _draw(ranking: Ranking, names: list[str]) -> torch.Tensor:
    with chart("Which edit?") as (axes, image):
        x, y, best = ranking.alignment.tolist(), ranking.fidelity.tolist(), ranking.order[0]
        axes.scatter(x, y, color="tab:blue")
        axes.scatter(x[best], y[best], s=160, facecolor="none", edgecolor="tab:green", linewidth=3, label="best")
        axes.axvline(ranking.threshold, color="tab:orange", linestyle="--", label="shows the edit from here on")
        for name, *point in zip(names, x, y, strict=True):
            axes.annotate(name, point, (6, 6), textcoords="offset points")
        axes.set_xlabel("alignment: how much better the target text explains the picture")
        axes.set_ylabel("fidelity: correlation with the photo")
        axes.margins(0.12)
        axes.legend()
        return image()
