"""The whole graph on one page, for those who want to see every wire, and for pages that know no nodes made of nodes."""

from __future__ import annotations

from scripts import workflow
from scripts.templates.blueprints import SENTENCE
from scripts.templates.page import Page, Point

SWEEP = "0.4, 0.8, 1.2"  # five of them do not give Pick Edit more edits that are complete
TEXT = (
    "The tiny demo model runs this at first click.\n\n"
    "For your own photo put Load Checkpoint in place of the demo model, and set size in Crop Photo: 512 for Stable "
    "Diffusion 1.5, 1024 for SDXL.\n\n"
    "A and B learn the photo, once. C draws the edit at several strengths, one for each number. Pick Edit "
    "takes the best, and Restore My Photo puts it into the photo at its full size.\n\n"
    "Too weak everywhere: lower 'keep' on Keep Photo. The edit spills over: raise it."
)
# From left to right; of each column its left side and its width. Nodes that draw while they work have room for it.
PHOTO, WORDS, LEARN, DRAW, PICK, SEE = (0, 230), (270, 240), (550, 240), (830, 240), (1110, 240), (1390, 290)


def wires(info: dict, defaults: dict) -> dict:
    """The workflow, without anything that pages of March 2024 do not know. Keep Photo finds the region by itself."""
    page = Page(info, defaults)
    add = page.add

    def at(column: tuple[int, int], top: int, height: int) -> tuple[Point, Point]:
        return (column[0], top), (column[1], height)

    model, clip, vae = add("ImagicDemoCheckpoint", "Demo model", *at(PHOTO, 0, 98))
    photo, _ = add("LoadImage", "Photo", *at(PHOTO, 136, 314), image=workflow.PHOTO.name)
    (target,) = add("CLIPTextEncode", "Target text", *at(PHOTO, 488, 88), clip=clip, text=SENTENCE)
    (negative,) = add("CLIPTextEncode", "Negative text", *at(PHOTO, 614, 88), clip=clip, text="")
    stitcher, part, _ = add("ImagicCropPhoto", "Crop Photo", *at(PHOTO, 740, 160), photo=photo, size=128)
    (latent,) = add("VAEEncode", "Encode the photo", *at(WORDS, 0, 46), pixels=part, vae=vae)
    learning = {"model": model, "latent": latent}
    optimized, _ = add(
        "ImagicOptimizeEmbedding", "A: optimize the embedding", *at(WORDS, 88, 512), **learning, conditioning=target
    )
    page.note("How to read it", *at(WORDS, 642, 250), TEXT, kind="Note")
    tuned, _, _ = add("ImagicFineTuneUNet", "B: tune the model", *at(LEARN, 0, 560), **learning, conditioning=optimized)
    texts = {"optimized": optimized, "target": target}
    mixed, etas = add("ImagicInterpolateEmbedding", "C: a sweep of eta", *at(LEARN, 602, 152), **texts, sweep=SWEEP)
    (before,) = add("VAEDecode", "Decode the photo", *at(LEARN, 796, 46), samples=latent, vae=vae)
    kept, region = add("ImagicKeepPhoto", "Keep the photo", *at(DRAW, 0, 350), model=tuned, latent=latent, **texts)
    sampling = {"model": kept, "positive": mixed, "negative": negative, "latent_image": latent}
    (samples,) = add("KSampler", "Sample each eta", *at(DRAW, 392, 474), **sampling)
    (row,) = add("VAEDecode", "Decode the row", *at(PICK, 0, 46), samples=samples, vae=vae)
    choice = {"source": part, "images": row, "eta": etas}
    image, eta, *_ = add("ImagicPickEdit", "Pick the edit", *at(PICK, 88, 512), model=model, vae=vae, **texts, **choice)
    putting_back = {"stitcher": stitcher, "before": before, "region": region, "align": False}
    edit, _ = add("ImagicRestorePhoto", "Restore My Photo", *at(PICK, 642, 190), edited=image, **putting_back)
    add("SaveImage", "The edit", *at(SEE, 0, 390), images=edit, filename_prefix="imagic/edit")
    (pair,) = add("ImagicEditSheet", "Side by side", *at(SEE, 432, 118), images=edit, source=photo, eta=eta, cell=512)
    add("PreviewImage", "Before and after", *at(SEE, 592, 300), images=pair)
    return page.workflow("wires")
