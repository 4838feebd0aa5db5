"""The templates: what the pages of the graph editor show, and where it stands."""

from __future__ import annotations

from scripts import workflow
from scripts.templates import blueprints
from scripts.templates.page import Output, Page, Point
from scripts.templates.wires import wires

PHOTO, MASKED = workflow.PHOTO.name, workflow.MASKED_PHOTO.name
SD15 = (
    "v1-5-pruned-emaonly-fp16.safetensors",
    "https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/v1-5-pruned-emaonly-fp16.safetensors",
    "checkpoints",
)
SDXL = (
    "sd_xl_base_1.0.safetensors",
    "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors",
    "checkpoints",
)
FLUX = "https://huggingface.co/comfyanonymous/flux_text_encoders/resolve/main"
FLUX_MODEL = (
    "flux1-dev.safetensors",
    "https://huggingface.co/Comfy-Org/flux1-dev/resolve/main/flux1-dev.safetensors",
    "diffusion_models",
)
T5 = ("t5xxl_fp16.safetensors", f"{FLUX}/t5xxl_fp16.safetensors", "text_encoders")
CLIP_L = ("clip_l.safetensors", f"{FLUX}/clip_l.safetensors", "text_encoders")
FLUX_VAE = (
    "ae.safetensors",
    "https://huggingface.co/Comfy-Org/Lumina_Image_2.0_Repackaged/resolve/main/split_files/vae/ae.safetensors",
    "vae",
)

WRITE = """Describe the **finished photo**: *a brown dog wearing a hat*. Do not give an order (*put a hat on it*).

| you see | do |
|---|---|
| too weak | more *strength*, or less *keep* |
| too much changes | less *strength*, or more *keep* |
| the wrong place changes | paint the place: right-click the photo, *Open in Mask Editor* |

Another strength or seed trains nothing again. The slider *Before and after* needs *Nodes 2.0*, in ComfyUI's menu."""


def _links(*files: tuple[str, str, str]) -> str:
    folders = "\n".join(f"- [{name}]({url}) → `ComfyUI/models/{directory}/`" for name, url, directory in files)
    return f"\n\n**Model files**\n\n{folders}\n"


class Pages:
    """All templates, by title. A title that ends in .app opens as an app."""

    def __init__(self, info: dict, defaults: dict):
        """
        Args:
            info: what the host tells of its nodes (object_info).
            defaults: by class, good values of widgets.
        """
        self.info, self.defaults = info, defaults
        self.nodes = {make.__name__: make(info, defaults) for make in blueprints.BLUEPRINTS}

    def all(self) -> dict[str, dict]:
        """Title to what the graph editor opens."""
        return {
            "Edit a photo with the demo model.app": self.demo_app(),
            "Edit your photo.app": self.app(),
            "Edit your photo": self.checkpoint(),
            "Edit your photo with Flux": self.flux(),
            "Edit only where you paint": self.painted(),
            "Edit at once, without training": self.instant(),
            "Every wire, several strengths": wires(self.info, self.defaults),
        }

    def blueprints(self) -> dict[str, dict]:
        """Name to the file from which the host offers the node."""
        return {node.name: node.blueprint(blueprints.ALIASES) for node in self.nodes.values()}

    def demo_app(self) -> dict:
        page = self._page()
        photo, mask = page.add("LoadImage", "Your photo", (0, 0), (300, 330), image=PHOTO)
        page.label(image="your photo")
        edit, *_ = page.put(self.nodes["demo"], (360, 0), (400, 420), photo=photo, mask=mask)
        compare = self._shown(page, photo, edit, (820, 0))
        page.note("How to", (0, 420), (300, 300), WRITE)
        return page.workflow("demo app", **_app(1, 2, compare))

    def app(self) -> dict:
        page = self._page()
        photo, mask = page.add("LoadImage", "Your photo", (0, 160), (300, 330), image=PHOTO)
        page.label(image="your photo")
        model, clip, vae = page.add("CheckpointLoaderSimple", "Model", (0, 0), (300, 98), ckpt_name=SD15[0])
        page.models(SD15)
        page.label(ckpt_name="model")
        edit, *_ = page.put(
            self.nodes["checkpoint"], (360, 0), (400, 480), photo=photo, mask=mask, model=model, clip=clip, vae=vae
        )
        compare = self._shown(page, photo, edit, (820, 0))
        page.note("How to", (0, 580), (760, 240), WRITE + _links(SD15, SDXL))
        return page.workflow("app", **_app(1, 3, compare, ("2", "ckpt_name"), ("3", "size")))

    def checkpoint(self) -> dict:
        page = self._page()
        photo, mask = page.add("LoadImage", "Your photo", (0, 160), (300, 330), image=PHOTO)
        model, clip, vae = page.add("CheckpointLoaderSimple", "Model", (0, 0), (300, 98), ckpt_name=SD15[0])
        page.models(SD15)
        edit, *_ = page.put(
            self.nodes["checkpoint"], (360, 0), (400, 480), photo=photo, mask=mask, model=model, clip=clip, vae=vae
        )
        self._shown(page, photo, edit, (820, 0))
        text = (
            "\n\n*size the model draws*: 512 for Stable Diffusion 1.5, 1024 for SDXL. The edit has your photo's size."
        )
        page.note("How to", (0, 580), (760, 250), WRITE + text + _links(SD15, SDXL))
        return page.workflow("checkpoint")

    def flux(self) -> dict:
        page = self._page()
        (model,) = page.add("UNETLoader", "Diffusion model", (0, 0), (300, 82), unet_name=FLUX_MODEL[0])
        page.models(FLUX_MODEL)
        (clip,) = page.add(
            "DualCLIPLoader", "Text encoders", (0, 120), (300, 130), clip_name1=T5[0], clip_name2=CLIP_L[0], type="flux"
        )
        page.models(T5, CLIP_L)
        (vae,) = page.add("VAELoader", "VAE", (0, 290), (300, 58), vae_name=FLUX_VAE[0])
        page.models(FLUX_VAE)
        photo, mask = page.add("LoadImage", "Your photo", (0, 390), (300, 330), image=PHOTO)
        edit, *_ = page.put(
            self.nodes["flux"], (360, 0), (400, 480), photo=photo, mask=mask, model=model, clip=clip, vae=vae
        )
        page.add("SaveImage", "The edit", (820, 0), (400, 360), images=edit, filename_prefix="imagic/edit")
        page.add("ImageCompare", "Before and after (Nodes 2.0)", (820, 440), (400, 380), image_a=photo, image_b=edit)
        text = "\n\nOn a card of 24 GB set *weight_dtype* of the diffusion model to fp8_e4m3fn. In 16 bits it is 24 GB."
        page.note("How to", (1260, 0), (360, 820), WRITE + text + _links(FLUX_MODEL, T5, CLIP_L, FLUX_VAE))
        return page.workflow("flux")

    def painted(self) -> dict:
        page = self._page()
        photo, mask = page.add("LoadImage", "Photo with a mask", (0, 0), (300, 330), image=MASKED)
        edit, *_ = page.put(self.nodes["demo"], (360, 0), (400, 420), photo=photo, mask=mask)
        self._shown(page, photo, edit, (820, 0))
        text = (
            "Right-click the photo, *Open in Mask Editor*, and paint what may change. Only that and its surroundings "
            "are drawn, at the photo's own sharpness. Outside, every pixel is the photo's own.\n\nThis photo has its "
            "mask already: above and around the head. With a mask, *keep* does nothing.\n\nFor your own "
            "model paint in the template *Edit your photo*: it takes the mask, too."
        )
        page.note("Your region", (0, 420), (300, 300), text)
        return page.workflow("painted")

    def instant(self) -> dict:
        page = self._page()
        photo, mask = page.add("LoadImage", "Your photo", (0, 162), (300, 330), image=PHOTO)
        model, clip, vae = page.add("ImagicDemoCheckpoint", "Model", (0, 0), (300, 98))
        edit, *_ = page.put(
            self.nodes["instant"],
            (360, 0),
            (400, 480),
            photo=photo,
            mask=mask,
            model=model,
            clip=clip,
            vae=vae,
            sentence=blueprints.SENTENCE,
            caption=blueprints.CAPTION,
            size=128,
        )
        self._shown(page, photo, edit, (820, 0))
        text = (
            "Write what the photo shows **now**, and what the finished photo shows. Nothing is trained: the first "
            "edit takes as long as three pictures, another strength as long as two. Where it edits, it keeps less of "
            "your photo than a trained edit.\n\nFor your own photos put *Load Checkpoint* in place of *Model* "
            "and set *size the model draws*: 512 for Stable Diffusion 1.5, 1024 for SDXL."
        )
        page.note("How to", (0, 540), (760, 200), text)
        return page.workflow("instant")

    def _page(self) -> Page:
        return Page(self.info, self.defaults)

    def _shown(self, page: Page, photo: Output, edit: Output, at: Point) -> int:
        """The edit saved, and compared: by a slider and side by side, since the classic page has no slider; its id."""
        left, top = at
        page.add("SaveImage", "The edit", at, (380, 380), images=edit, filename_prefix="imagic/edit")
        page.add(
            "ImageCompare", "Before and after (Nodes 2.0)", (left, top + 440), (380, 380), image_a=photo, image_b=edit
        )
        page.label(compare_view="before and after")
        compare = page.nodes[-1]["id"]
        (sheet,) = page.add(
            "ImagicEditSheet", "Side by side", (left + 420, top), (380, 130), images=edit, source=photo, cell=512
        )
        page.add("PreviewImage", "Before and after", (left + 420, top + 190), (380, 630), images=sheet)
        return compare


def _app(photo: int, edit: int, compare: int, *more: tuple[str, str]) -> dict:
    """What makes an app of a page: the widgets that it shows, and the node whose picture it shows."""
    inputs = [
        [str(photo), "image"],
        [str(edit), "sentence", {"height": 60}],
        [str(edit), "strength"],
        [str(edit), "keep"],
        [str(compare), "compare_view"],
        [str(edit), "seed"],
        *map(list, more),
    ]
    return {"linearMode": True, "linearData": {"inputs": inputs, "outputs": [str(compare - 1)]}}
