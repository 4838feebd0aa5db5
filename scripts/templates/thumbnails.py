"""Pictures of the templates and for the help pages: what the demo model makes of the demo's photo."""

from __future__ import annotations

import copy
import io

from PIL import Image, ImageDraw, ImageFont

from scripts import hosts, workflow
from scripts.client import Client, Graph, Run
from scripts.templates.blueprints import SENTENCE

CELL, GAP, LINE = 240, 8, 22
INK, PAPER = (30, 30, 30), (255, 255, 255)
MASK = (42, 10, 82, 54)  # of the demo's photo, in pixels: above and around the dog's head
LOADERS = {"CheckpointLoaderSimple": (0, 1, 2), "UNETLoader": (0,), "DualCLIPLoader": (1,), "VAELoader": (2,)}
# Where a real model is wanted: what to ask of the demo model instead.
SENTENCES = {"Edit your photo with Flux": "a brown dog sitting in the snow wearing a crown"}
HELP = {"pick": ("Pick the edit", 5), "loss": ("How B went", 0), "sheet": ("Sheet of all eta", 0)}


def masked_photo() -> Image.Image:
    """The demo's photo as the graph editor's mask editor saves it: transparent where it may change."""
    photo = Image.open(workflow.PHOTO).convert("RGBA")
    alpha = Image.new("L", photo.size, 255)
    ImageDraw.Draw(alpha).ellipse(MASK, fill=0)
    photo.putalpha(alpha)
    return photo


def draw_all(client: Client) -> None:
    """Run every template, and draw its picture; the help pages' pictures and the banner come from the same runs."""
    for title in workflow.TITLES:
        graph = with_demo_model(title, client)
        if title == workflow.FLAT:
            run = client.run(_with_help(graph))
            (sheet,) = _pictures(client, run, "sheet")
            _help_pictures(client, run)
            picture = sheet.convert("RGB")
            picture.thumbnail((640, 640))
        else:
            (edit,) = _pictures(client, client.run(graph), workflow.node(graph, "The edit"))
            sentence = SENTENCES.get(title, SENTENCE)
            before = _tinted() if title == "Edit only where you paint" else Image.open(workflow.PHOTO)
            picture = side_by_side(("photo", before), (sentence, edit))
            if title == "Edit a photo with the demo model.app":
                banner(edit).save(hosts.ROOT / "assets" / "banner.png")
        picture.save(workflow.FOLDER / f"{title}.jpg", quality=88)
        print(title, flush=True)


def with_demo_model(title: str, client: Client) -> Graph:
    """A template's graph with the demo model in place of every loader, and the demo's photo in place of yours."""
    graph = workflow.queued(workflow.template(title), client.object_info())
    kinds = {number: content["class_type"] for number, content in graph.items()}
    loads = any(kind in LOADERS for kind in kinds.values())
    for content in graph.values():
        inputs = content["inputs"]
        for key, value in inputs.items():
            if isinstance(value, list) and kinds.get(value[0]) in LOADERS:
                inputs[key] = ["demo", LOADERS[kinds[value[0]]][value[1]]]
        match content["class_type"]:
            case "LoadImage":
                masked = inputs["image"] == workflow.MASKED_PHOTO.name
                inputs["image"] = client.upload_image(workflow.MASKED_PHOTO if masked else workflow.PHOTO)
            case "ImagicCropPhoto" if loads:
                inputs |= {"size": 128}
            case "CLIPTextEncode" if loads and isinstance(inputs["text"], str) and inputs["text"]:
                inputs["text"] = SENTENCES.get(title, SENTENCE)
            case "ComfySwitchNode" if loads:
                inputs["on_true"] = SENTENCES.get(title, SENTENCE)
            case "KSampler" if loads:
                inputs |= {"cfg": 4.0, "sampler_name": "ddim", "scheduler": "normal"}
    demo = {"class_type": "ImagicDemoCheckpoint", "inputs": {}, "_meta": {"title": "Demo model"}}
    kept = {number: content for number, content in graph.items() if content["class_type"] not in LOADERS}
    return {"demo": demo, **kept} if loads else kept


def side_by_side(*panels: tuple[str, Image.Image]) -> Image.Image:
    """Labelled pictures."""
    sheet = Image.new("RGB", (GAP + len(panels) * (CELL + GAP), GAP + CELL + LINE + GAP), PAPER)
    pen, font = ImageDraw.Draw(sheet), _font([label for label, _ in panels])
    for number, (label, picture) in enumerate(panels):
        left = GAP + number * (CELL + GAP)
        pen.text((left, GAP), label, INK, font)
        sheet.paste(picture.convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS), (left, GAP + LINE))
    return sheet


def banner(edit: Image.Image) -> Image.Image:
    """The pack's picture in the registry: the demo's photo and edit, 21 by 9."""
    sheet = Image.new("RGB", (1260, 540), (38, 48, 74))
    pen = ImageDraw.Draw(sheet)
    for picture, left in ((Image.open(workflow.PHOTO), 470), (edit, 865)):
        pen.rounded_rectangle((left - 12, 68, left + 371, 451), 18, fill=PAPER)
        sheet.paste(picture.convert("RGB").resize((360, 360), Image.Resampling.LANCZOS), (left, 80))
    pen.line((482, 496, 1224, 496), fill=(89, 103, 143), width=12)
    pen.line((482, 496, 1060, 496), fill=(255, 209, 102), width=12)
    pen.ellipse((1038, 474, 1082, 518), fill=(255, 209, 102), outline=(38, 48, 74), width=5)
    pen.text((56, 140), "Imagic", PAPER, ImageFont.load_default(104))
    for line, text in enumerate(("A photo and one sentence", "go in; the photo with", "that made true comes out.")):
        pen.text((60, 290 + line * 42), text, (200, 208, 228), ImageFont.load_default(30))
    return sheet


def _with_help(graph: Graph) -> Graph:
    """The graph with what the help pages show: the ranking's chart, the losses of B, the sheet, the region."""
    graph = copy.deepcopy(graph)
    chart = {"loss": [workflow.node(graph, "B: tune the model"), 2], "title": "B: tune the model"}
    images, source, etas = (
        workflow.node(graph, title) for title in ("Decode the row", "Crop Photo", "C: a sweep of eta")
    )
    sheet = {"images": [images, 0], "source": [source, 1], "eta": [etas, 1], "cell": 256}
    sheet["winner"] = [workflow.node(graph, "Pick the edit"), 2]
    graph["all"] = {"class_type": "ImagicEditSheet", "inputs": sheet, "_meta": {"title": "Sheet of all eta"}}
    graph["How B went"] = {"class_type": "ImagicLossChart", "inputs": chart, "_meta": {"title": "How B went"}}
    for name, (title, slot) in HELP.items():
        graph[name] = _saved([workflow.node(graph, title), slot])
    region = {"mask": [workflow.node(graph, "Keep the photo"), 1]}
    graph["mask"] = {"class_type": "MaskToImage", "inputs": region, "_meta": {"title": "Region"}}
    graph["region"] = _saved(["mask", 0])
    return graph


def _help_pictures(client: Client, run: Run) -> None:
    workflow.HELP_PICTURES.mkdir(exist_ok=True)
    for name in (*HELP, "region"):
        (picture,) = _pictures(client, run, name)
        picture = picture.convert("RGB")
        picture.thumbnail((640, 640))
        picture.save(workflow.HELP_PICTURES / f"{name}.jpg", quality=85)


def _pictures(client: Client, run: Run, node: str) -> list[Image.Image]:
    return [Image.open(io.BytesIO(client.view(image))) for image in run.outputs[node]["images"]]


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
    inputs = {"images": images, "filename_prefix": "thumbnail"}
    return {"class_type": "SaveImage", "inputs": inputs, "_meta": {"title": "Thumbnail"}}
