"""The whole graph on one page, for those who want to see every wire, and for pages that know no nodes made of nodes."""

from __future__ import annotations

from scripts import workflow
from scripts.templates.blueprints import DEMO_SENTENCE
from scripts.templates.page import Page, Point

SWEEP = "0.4, 0.8, 1.0, 1.2, 1.4"
TEXT = (
    "The tiny demo model runs this at first click.\n\n"
    "For your own photo put Load Checkpoint in place of the demo model, and set size in Crop Photo: 512 for Stable "
    "Diffusion 1.5, 1024 for SDXL.\n\n"
    "A and B learn the photo, once. C goes several ways to the sentence: one for each number of the sweep. Pick Edit "
    "takes the best, and Restore My Photo puts it into the photo at its full size.\n\n"
    "Too weak everywhere: a lower threshold. The edit spills over: a higher one."
)
# From left to right; of each column its left side and its width.
PHOTO, WORDS, LEARN, DRAW, PICK, SEE = (0, 230), (275, 230), (550, 240), (835, 230), (1110, 240), (1395, 275)


def wires(info: dict, defaults: dict) -> dict:
    """The workflow, without anything that pages of March 2024 do not know."""
    page = Page(info, defaults)
    add = page.add

    def at(column: tuple[int, int], top: int, height: int) -> tuple[Point, Point]:
        return (column[0], top), (column[1], height)

    model, clip, vae = add("ImagicDemoCheckpoint", "Demo model", *at(PHOTO, 0, 66))
    photo, mask = add("LoadImage", "Photo", *at(PHOTO, 106, 320), image=workflow.PHOTO.name)
    stitcher, part, painted = add(
        "ImagicCropPhoto", "Crop Photo", *at(PHOTO, 466, 180), photo=photo, size=128, context=8.0, region=mask
    )
    (target,) = add("CLIPTextEncode", "Target text", *at(WORDS, 0, 110), clip=clip, text=DEMO_SENTENCE)
    (negative,) = add("CLIPTextEncode", "Negative text", *at(WORDS, 150, 88), clip=clip, text="")
    (latent,) = add("VAEEncode", "Encode the photo", *at(WORDS, 466, 46), pixels=part, vae=vae)
    (before,) = add("VAEDecode", "Decode the photo", *at(WORDS, 560, 46), samples=latent, vae=vae)
    page.note("How to read it", (WORDS[0], 650), (515, 190), TEXT, kind="Note")
    shared = {"model": model, "latent": latent}
    optimized, _ = add(
        "ImagicOptimizeEmbedding", "A: optimize the embedding", *at(LEARN, 0, 245), **shared, conditioning=target
    )
    tuned, _, _ = add("ImagicFineTuneUNet", "B: tune the model", *at(LEARN, 290, 295), **shared, conditioning=optimized)
    shared = {"model": tuned, "latent": latent, "optimized": optimized, "target": target}
    region, _ = add("ImagicEditRegion", "Edit region", *at(DRAW, 0, 150), **shared, painted=painted)
    kept, free = add("ImagicKeepPhoto", "Keep the photo", *at(DRAW, 190, 140), **shared, region=region)
    mixed, etas = add(
        "ImagicInterpolateEmbedding",
        "C: a sweep of eta",
        *at(DRAW, 370, 102),
        optimized=optimized,
        target=target,
        sweep=SWEEP,
    )
    (samples,) = add(
        "KSampler",
        "Sample each eta",
        *at(DRAW, 510, 270),
        model=kept,
        positive=mixed,
        negative=negative,
        latent_image=latent,
    )
    (row,) = add("VAEDecode", "Decode the row", *at(PICK, 0, 46), samples=samples, vae=vae)
    image, _, number, *_ = add(
        "ImagicPickEdit",
        "Pick the edit",
        *at(PICK, 90, 250),
        model=model,
        vae=vae,
        source=part,
        images=row,
        optimized=optimized,
        target=target,
        eta=etas,
    )
    edit, _ = add(
        "ImagicRestorePhoto",
        "Restore My Photo",
        *at(PICK, 380, 190),
        edited=image,
        align=False,
        stitcher=stitcher,
        before=before,
        region=free,
    )
    (sheet,) = add(
        "ImagicEditSheet",
        "Sheet of all eta",
        *at(PICK, 610, 118),
        images=row,
        source=part,
        eta=etas,
        winner=number,
        cell=256,
    )
    (pair,) = add("ImagicEditSheet", "Side by side", *at(PICK, 768, 118), images=edit, source=photo, cell=512)
    add("SaveImage", "The edit", *at(SEE, 0, 280), images=edit, filename_prefix="imagic/edit")
    add("PreviewImage", "The sheet", *at(SEE, 320, 250), images=sheet)
    add("PreviewImage", "Before and after", *at(SEE, 610, 250), images=pair)
    return page.workflow("wires")
