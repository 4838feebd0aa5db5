"""Thumbnails of the example workflows: what they make of the demo's photo with the demo model."""

from __future__ import annotations

import copy
import io

from PIL import Image, ImageDraw, ImageFont

from scripts import workflow
from scripts.client import Client, Graph

CELL, GAP, LINE = 240, 8, 22
INK, PAPER, BEST = (30, 30, 30), (255, 255, 255), (30, 150, 70)
MASK = (42, 10, 82, 54)  # of the demo's photo, in pixels: above and around the dog's head
LOADERS = {"CheckpointLoaderSimple": (0, 1, 2), "UNETLoader": (0,), "DualCLIPLoader": (1,), "VAELoader": (2,)}
# Where a real checkpoint is wanted: what to ask of the demo model instead.
SENTENCES = {
    "imagic_photo_sd15_sdxl": "a brown dog sitting in the snow wearing a hat",
    "imagic_flux": "a brown dog sitting in the snow wearing a crown",
}

Panel = tuple[str, Image.Image, bool]


def masked_photo() -> Image.Image:
    """The demo's photo as the graph editor's mask editor saves it: transparent where it may change."""
    photo = Image.open(workflow.PHOTO).convert("RGBA")
    alpha = Image.new("L", photo.size, 255)
    ImageDraw.Draw(alpha).ellipse(MASK, fill=0)
    photo.putalpha(alpha)
    return photo


def draw(name: str, graph: Graph, client: Client) -> Image.Image:
    """Run a workflow and lay its pictures side by side."""
    graph = with_demo_model(name, graph, client)
    photo = Image.open(workflow.PHOTO)
    decoded = [number for number, content in graph.items() if content["class_type"] == "VAEDecode"]
    for number in decoded:
        graph[f"{number}-saved"] = _saved([number, 0])
    result = client.run(graph)

    def pictures(number: str) -> list[Image.Image]:
        return [Image.open(io.BytesIO(client.view(image))) for image in result.outputs[number]["images"]]

    if name == "imagic_keep_with_mask":
        return grid(
            [("photo and mask", _tinted(), False), ("edit", pictures(workflow.node(graph, "The edit"))[0], False)]
        )
    if len(decoded) > 1:
        targets = (graph[workflow.node(graph, f"Target {place}")]["inputs"]["text"] for place in (1, 2, 3))
        edits = (pictures(f"{number}-saved")[0] for number in decoded)
        return grid(
            [("photo", photo, False), *((text, edit, False) for text, edit in zip(targets, edits, strict=True))]
        )
    pick = result.outputs[workflow.node(graph, "Pick the edit")]["imagic"][0]["number"] - 1
    row = pictures(f"{decoded[0]}-saved")
    if name in SENTENCES:
        return grid([("photo", photo, False), (SENTENCES[name], row[pick], False)])
    etas = workflow.inputs(graph, "C: a sweep of eta")["sweep"].split(",")
    shown = [place for place in range(len(row)) if place]  # eta 0 is the photo
    return grid(
        [("photo", photo, False), *((f"eta {float(etas[place]):g}", row[place], place == pick) for place in shown)], 3
    )


def help_pictures(graph: Graph, client: Client) -> None:
    """The pictures of the help pages: the sheet, the charts and the region of the pick workflow."""
    graph = copy.deepcopy(graph)
    workflow.inputs(graph, "Photo")["image"] = client.upload_image(workflow.PHOTO)
    keep = workflow.node(graph, "Keep the photo")
    graph["region"] = {"class_type": "MaskToImage", "inputs": {"mask": [keep, 1]}, "_meta": {"title": "Region"}}
    graph["region-saved"] = _saved(["region", 0])
    outputs = client.run(graph).outputs
    wanted = {"sheet": "The sheet", "pick": "Why this one", "loss": "How B went", "region": "Thumbnail"}
    workflow.HELP_PICTURES.mkdir(exist_ok=True)
    for name, title in wanted.items():
        (image,) = outputs[workflow.node(graph, title)]["images"]
        picture = Image.open(io.BytesIO(client.view(image))).convert("RGB")
        picture.thumbnail((640, 640))
        picture.save(workflow.HELP_PICTURES / f"{name}.jpg", quality=85)


def with_demo_model(name: str, graph: Graph, client: Client) -> Graph:
    """The graph with the demo model in place of every loader, and the demo's photo in place of yours."""
    graph = copy.deepcopy(graph)
    demo = {"class_type": "ImagicDemoCheckpoint", "inputs": {}, "_meta": {"title": "Demo model"}}
    slots = {
        number: LOADERS[content["class_type"]] for number, content in graph.items() if content["class_type"] in LOADERS
    }
    for content in graph.values():
        for key, value in content["inputs"].items():
            if isinstance(value, list) and value[0] in slots:
                content["inputs"][key] = ["demo", slots[value[0]][value[1]]]
        if content["class_type"] == "LoadImage":
            masked = "mask" in content["_meta"]["title"]
            content["inputs"]["image"] = client.upload_image(workflow.MASKED_PHOTO if masked else workflow.PHOTO)
        if content["class_type"] == "ImageScale":
            content["inputs"] |= {"width": 128, "height": 128}
    if slots:
        workflow.inputs(graph, "Target text")["text"] = SENTENCES[name]
        sampler = workflow.inputs(workflow.load(), "Sample each eta")
        own = {key: sampler[key] for key in ("cfg", "sampler_name", "scheduler")}
        workflow.inputs(graph, "Sample each eta").update(own)
    return {"demo": demo, **{number: content for number, content in graph.items() if number not in slots}}


def grid(panels: list[Panel], columns: int = 2) -> Image.Image:
    """Labelled pictures, the best one framed."""
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (GAP + columns * (CELL + GAP), GAP + rows * (CELL + LINE + GAP)), PAPER)
    pen, font = ImageDraw.Draw(sheet), _font([label for label, _, _ in panels])
    for number, (label, picture, best) in enumerate(panels):
        left, top = GAP + number % columns * (CELL + GAP), GAP + number // columns * (CELL + LINE + GAP)
        pen.text((left, top), label, BEST if best else INK, font)
        picture = picture.convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left, top + LINE))
        if best:
            pen.rectangle((left - 4, top + LINE - 4, left + CELL + 3, top + LINE + CELL + 3), outline=BEST, width=4)
    return sheet


def banner() -> Image.Image:
    """The pack's picture in the registry: the demo's photo and edit, 21 by 9."""
    photo, edit = Image.open(workflow.PHOTO), Image.open(workflow.FOLDER / "imagic_demo.jpg")
    sheet = Image.new("RGB", (1260, 540), (38, 48, 74))
    pen = ImageDraw.Draw(sheet)
    for picture, left in ((photo, 470), (edit, 865)):
        pen.rounded_rectangle((left - 12, 68, left + 371, 451), 18, fill=PAPER)
        sheet.paste(picture.convert("RGB").resize((360, 360), Image.Resampling.LANCZOS), (left, 80))
    pen.line((482, 496, 1224, 496), fill=(89, 103, 143), width=12)
    pen.line((482, 496, 1060, 496), fill=(255, 209, 102), width=12)
    pen.ellipse((1038, 474, 1082, 518), fill=(255, 209, 102), outline=(38, 48, 74), width=5)
    pen.text((56, 140), "Imagic", PAPER, ImageFont.load_default(104))
    for line, text in enumerate(("A photo and one sentence", "go in; the photo with", "that made true comes out.")):
        pen.text((60, 290 + line * 42), text, (200, 208, 228), ImageFont.load_default(30))
    return sheet


def _font(labels: list[str]) -> ImageFont.FreeTypeFont:
    """As large as lets every label fit over its picture."""
    fonts = (ImageFont.load_default(size) for size in range(15, 6, -1))
    return next(font for font in fonts if max(map(font.getlength, labels)) <= CELL)


def _tinted() -> Image.Image:
    """The photo with what may change in red."""
    masked = masked_photo()
    red = Image.blend(masked.convert("RGB"), Image.new("RGB", masked.size, (220, 40, 40)), 0.4)
    return Image.composite(masked.convert("RGB"), red, masked.getchannel("A"))


def _saved(images: list) -> dict:
    return {
        "class_type": "SaveImage",
        "inputs": {"images": images, "filename_prefix": "thumbnail"},
        "_meta": {"title": "Thumbnail"},
    }
