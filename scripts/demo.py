"""Edit a picture by a sentence on a real ComfyUI, and lay the result out as a strip of pictures.

make demo [IMAGE=photo.jpg] [PROMPT="a white dog jumping on the grass"]
"""

from __future__ import annotations

import argparse
import io
import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from skimage.metrics import peak_signal_noise_ratio

from imagic.photo import normalized
from scripts import hosts, posters, workflow
from scripts.client import Client, ClientError, Graph, NodeError, Run
from scripts.progress import Progress
from scripts.server import Server, ServerError

SIZE = 128  # of the pictures the demo model knows
OUTPUT = hosts.ROOT / "output"
STRIP = OUTPUT / "imagic-demo.png"
EDIT = OUTPUT / "imagic-demo-edit.png"
REPORT = OUTPUT / "imagic-demo.json"
IMAGIC = {"optimize": "A: optimize the embedding", "tune": "B: tune the model", "keep": "Keep the photo"}
STAGES = {**IMAGIC, "sample": "Sample each eta"}


@dataclass(frozen=True)
class Pictures:
    """What goes into the strip."""

    photo: Image.Image
    autoencoder: Image.Image
    row: dict[float, Image.Image]
    eta: float

    def psnr(self, picture: Image.Image) -> float:
        """How near a picture is to the photo, in dB."""
        return round(peak_signal_noise_ratio(np.asarray(self.photo), np.asarray(picture)), 2)


def run(host: hosts.Host, image: Path, prompt: str | None) -> None:
    """Run the whole demo on a host."""
    graph = workflow.load()
    if prompt:
        workflow.inputs(graph, "Target text")["text"] = prompt
    home = hosts.ROOT / "build" / f"comfyui-{host.version}"
    photo_file = home / "photo.png"
    photo_file.parent.mkdir(parents=True, exist_ok=True)
    photo = square(image)
    photo.save(photo_file)
    print(f"Host: {host}\nPhoto: {image}\nPrompt: {_prompt(graph)}", flush=True)

    started = time.monotonic()
    with Server(host, home, cpu=not torch.accelerator.is_available()) as server, Client(server.address) as client:
        seconds = {"start": time.monotonic() - started}
        print(f"ComfyUI: up at {server.address} after {seconds['start']:.0f} s, log in {server.log}", flush=True)
        workflow.inputs(graph, "Photo")["image"] = client.upload_image(photo_file, "imagic-demo.png")
        progress = Progress(graph)
        result = client.run(graph, progress)
        pictures = _pictures(client, graph, result, photo)
    for stage, title in STAGES.items():
        seconds[stage] = progress.seconds[workflow.node(graph, title)]
    seconds["total"] = time.monotonic() - started
    _write(host, graph, result, pictures, seconds)


def square(image: Path) -> Image.Image:
    """The middle of a picture file of any kind, at the demo model's size.

    Raises:
        ValueError: the picture cannot be read to its end.
        OSError: there is no such file, or it is no picture.
    """
    return ImageOps.fit(normalized(Image.open(image)), (SIZE, SIZE), Image.Resampling.LANCZOS)


def _pictures(client: Client, graph: Graph, result: Run, photo: Image.Image) -> Pictures:
    """Fetch what the graph's Save Image nodes saved."""

    def saved(title: str) -> list[Image.Image]:
        images = result.outputs[workflow.node(graph, title)]["images"]
        return [Image.open(io.BytesIO(client.view(image))) for image in images]

    interpolation = workflow.inputs(graph, "C: from the photo to the target")
    etas = [float(eta) for eta in interpolation["sweep"].split(",")]
    return Pictures(
        photo=photo,
        autoencoder=saved("Autoencoder alone")[0],
        row=dict(zip(etas, saved("Row of eta"), strict=True)),
        eta=interpolation["eta"],
    )


def _write(host: hosts.Host, graph: Graph, result: Run, pictures: Pictures, seconds: dict[str, float]) -> None:
    """Save the strip, the edit and the report, and sum up in the terminal."""
    OUTPUT.mkdir(exist_ok=True)
    reconstruction, ceiling = pictures.psnr(pictures.row[0.0]), pictures.psnr(pictures.autoencoder)
    edit = pictures.row[pictures.eta]
    panels = [
        ("photo", pictures.photo),
        *((f"eta {eta:g}" if eta else "reconstruction, eta 0", picture) for eta, picture in pictures.row.items()),
        (f"the edit, eta {pictures.eta:g}", edit),
    ]
    posters.sheet([panels], [_prompt(graph)]).save(STRIP)
    edit.save(EDIT)
    spent = {
        stage: result.outputs[workflow.node(graph, title)]["imagic"][0]["forward_equivalents"]
        for stage, title in IMAGIC.items()
    }
    # One picture: the sample and the photo beside it, each with and without the text, at every step.
    spent["sample"] = 4 * workflow.inputs(graph, "Sample each eta")["steps"]
    report = {
        "host": {"version": host.version, "source": host.source, "path": str(host.path)},
        "prompt": _prompt(graph),
        "eta": pictures.eta,
        "seconds": {stage: round(value, 1) for stage, value in seconds.items()},
        "reconstruction_psnr": reconstruction,
        "autoencoder_psnr": ceiling,
        "forward_equivalents": sum(spent.values()),
        "forward_equivalents_by_stage": spent,
        "files": {
            name: str(path.relative_to(hosts.ROOT))
            for name, path in {"strip": STRIP, "edit": EDIT, "report": REPORT}.items()
        },
    }
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(
        f"Reconstruction: {reconstruction:.1f} dB of the {ceiling:.1f} dB that the autoencoder allows\n"
        f"Done in {seconds['total']:.0f} s: {STRIP} and {REPORT}"
    )


def _prompt(graph: Graph) -> str:
    return workflow.inputs(graph, "Target text")["text"]


def main() -> None:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=workflow.PHOTO, help="any picture file")
    parser.add_argument("--prompt", help="what the picture shall show")
    options = parser.parse_args()
    # Without this, a `kill` would end us at once and leave the host running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(hosts.find(), options.image, options.prompt)
    except NodeError as error:
        sys.exit(f"Error: {error.node_type} says: {error}")
    except (OSError, ValueError, hosts.HostError, ServerError, ClientError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
