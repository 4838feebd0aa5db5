"""The host's ways to fit a model on a card and to compute with it: python -m tests.gpu.offloading.

The demo's workflow, start to end, under each set of flags: on the demo model, which is small and always in fp32, and on
the flow model by the host's own Load Diffusion Model, which heeds all of them and streams weights (DynamicVRAM).
"""

import copy
import io
import json
import math
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import requests
from PIL import Image

from scripts import hosts, posters, workflow
from scripts.client import Client, ClientError, Graph
from scripts.server import Server, ServerError

EXACT = "--force-fp32"
MODES = (
    EXACT,
    "",
    "--highvram",
    "--gpu-only",
    "--disable-dynamic-vram",
    "--disable-dynamic-vram --lowvram",
    "--disable-dynamic-vram --novram",
    "--fp16-unet",
    "--bf16-unet",
    "--fp8_e4m3fn-unet",
    "--fp8_e4m3fn-unet --fast",
    "--fp16-intermediates",
    "--use-split-cross-attention",
    "--use-quad-cross-attention",
)
FLOW_FILE = hosts.ROOT / "demo" / "flow_model" / "transformer" / "diffusion_pytorch_model.safetensors"
SHEET = hosts.ROOT / "output" / "gpu-modes.png"
AT_A_TIME = 7  # hosts, which spend most of their time starting
MODELS = "demo", "flow"
ETAS = 0.0, 1.2


def graph(model: str) -> Graph:
    """The demo's, for the photo itself and the edit."""
    content = workflow.load()
    workflow.inputs(content, "C: from the photo to the target")["sweep"] = ", ".join(map(str, ETAS))
    if model == "flow":
        demo = next(name for name, node in content.items() if node["class_type"] == "ImagicDemoCheckpoint")
        content[demo]["inputs"]["kind"] = "like SD 3"
        workflow.inputs(content, "Target text")["text"] = "a blue dog sitting in the snow"
        for node in content.values():
            node["inputs"] = {
                name: ["model", 0] if value == [demo, 0] else value for name, value in node["inputs"].items()
            }
        loader = {"unet_name": FLOW_FILE.name, "weight_dtype": "default"}
        content["model"] = {"class_type": "UNETLoader", "inputs": loader, "_meta": {"title": "Load Diffusion Model"}}
    return content


def run(host: hosts.Host, mode: str, graphs: dict[str, Graph], cpu: bool) -> dict[str, dict]:
    """By model: pictures of the photo as autoencoded, at eta 0 and at eta 1.2, and MiB that are held after."""
    found: dict[str, dict] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "models").mkdir()
        shutil.copy(FLOW_FILE, folder / "models")
        try:
            server = stack.enter_context(Server(host, folder, cpu=cpu, arguments=tuple(mode.split())))
            client = stack.enter_context(Client(server.address))
            name = client.upload_image(workflow.PHOTO)
        except (ServerError, ClientError, OSError) as error:
            return {model: {"reason": str(error)} for model in graphs}
        for model, content in graphs.items():
            workflow.inputs(content, "Photo")["image"] = name
            try:
                result = client.run(content)
            except ClientError as error:
                found[model] = {"reason": str(error)}
                continue
            titles = "Autoencoder alone", "Row of eta"
            saved = [image for title in titles for image in result.outputs[workflow.node(content, title)]["images"]]
            pictures = [Image.open(io.BytesIO(client.view(image))).convert("RGB") for image in saved]
            found[model] = {"pictures": pictures, "mib": _used(server.address)}
    print(mode or "no flag:", {model: figures.get("reason", "done") for model, figures in found.items()}, flush=True)
    return found


def measure(modes: tuple[str, ...] = MODES, cpu: bool = False) -> dict[str, dict]:
    """By mode and model.

    Returns:
        kept: PSNR of eta 0 against the photo as the autoencoder has it, dB.
        edit: PSNR of eta 1.2 against that in fp32, dB.
        mib: that PyTorch holds of the card afterwards.
        reason: in their place, where the workflow did not come to its end.
    """
    host = hosts.find()
    graphs = {model: graph(model) for model in MODELS}
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        ran = list(pool.map(lambda mode: run(host, mode, copy.deepcopy(graphs), cpu), modes))
    _draw(modes, ran)
    exact = {model: figures["pictures"][-1] for model, figures in ran[0].items() if "pictures" in figures}
    found: dict[str, dict] = {}
    for mode, each in zip(modes, ran, strict=True):
        for model, figures in each.items():
            if pictures := figures.pop("pictures", None):
                autoencoded, kept, edit = pictures
                figures |= {
                    "kept": psnr(autoencoded, kept),
                    "edit": psnr(exact[model], edit) if model in exact else None,
                }
            found.setdefault(mode or "no flag", {})[model] = figures
    return found


def psnr(first: Image.Image, second: Image.Image) -> float:
    """In dB, 99 at most, as of pictures that are alike."""
    error = float(np.square(np.asarray(first, dtype=float) - np.asarray(second, dtype=float)).mean())
    return round(min(99.0, 10 * math.log10(255**2 / max(error, 1e-9))), 2)


def _draw(modes: tuple[str, ...], ran: list[dict]) -> None:
    """A row a mode: both models, each as autoencoded, kept and edited."""
    labels = "autoencoded", f"eta {ETAS[0]:g}", f"eta {ETAS[1]:g}"
    rows = {
        mode or "no flag": [
            (label, picture)
            for figures in each.values()
            for label, picture in zip(labels, figures.get("pictures", []), strict=False)
        ]
        for mode, each in zip(modes, ran, strict=True)
    }
    if rows := {mode: row for mode, row in rows.items() if row}:
        SHEET.parent.mkdir(exist_ok=True)
        posters.sheet(list(rows.values()), list(rows)).save(SHEET)


def _used(address: str) -> int:
    device = requests.get(f"{address}/system_stats", timeout=30).json()["devices"][0]
    return (device["torch_vram_total"] - device["torch_vram_free"]) >> 20


if __name__ == "__main__":
    print("\n" + json.dumps(measure()))
