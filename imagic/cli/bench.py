"""Measure edits of real photos: TEdBench (100 pairs) or PIE-Bench (700 pairs with masks).

Imagic by its default recipe; instant, without training; and by the paper's recipe. Beside it LEDITS++ (ledits) and
SDEdit (sdedit), as diffusers ships them, where they run on the model. All that was done is kept, so the same command
goes on where it was stopped. It writes RESULTS.md, results.json and contact sheets.

  tedbench   --data: the folder tedbench of the repository imagic-editing/imagic-editing.github.io
  piebench   --data: the folder with mapping_file.json and annotation_images, from the authors of PIE-Bench

--weights is a folder with what the metrics need. What is missing is named, and the rest is measured:
  clip-vit-large-patch14/                      openai/clip-vit-large-patch14: CLIP score
  dino-vitb8/                                  facebook/dino-vitb8: structure distance
  checkpoints/squeezenet1_1-b8a52dc0.pth       torchvision's: LPIPS

examples:
  imagic bench tedbench --data tedbench --model stable-diffusion-v1-5/stable-diffusion-v1-5
  imagic bench piebench --data data --model MODEL --methods default instant --weights weights --engine ray --workers 8

exit status: 0 done, 1 stopped before the end, 2 misused, 3 done but for some pairs, 130 stopped by Ctrl-C
"""

import argparse
from functools import partial
from pathlib import Path

from . import arguments

FAILED_PAIRS = 3  # an exit status, as batch has it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("benchmark", choices=("tedbench", "piebench"))
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the benchmark, as it is published")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="default: the benchmark's name, here")
    arguments.add_model(parser)
    add = parser.add_argument
    methods = ["default", "instant", "paper", "ledits", "sdedit"]
    add("--methods", nargs="+", choices=methods, default=methods, help="default: all that run on the model")
    add("--pairs", type=int, metavar="N", help="only N pairs, spread evenly (default: all)")
    add("--captions", type=Path, metavar="FILE", help="JSON {photo: what it shows}, for instant on TEdBench")
    add("--weights", type=Path, metavar="FOLDER", help="of the metrics' models, see above")
    add("--size", type=int, metavar="PIXELS", help="side of the square whose area is drawn (default: the model's own)")
    add("--num-inference-steps", type=int, metavar="N", default=20, help="of sampling (default: 20; ledits: its own)")
    add("--embedding-steps", type=int, metavar="N", help="of stage A (default: each method's own)")
    add("--tuning-steps", type=int, metavar="N", help="of stage B (default: each method's own)")
    add("--gradient-checkpointing", action="store_true", help="slower, a fraction of the memory")
    add("--engine", choices=("local", "ray"), default="local", help="default: local, a process for each GPU")
    add("--workers", type=int, metavar="N", help="default: one for each GPU; on a CPU one")
    add("--address", help="of a Ray cluster")


def run(options: argparse.Namespace) -> int:
    import torch

    from .. import checks
    from ..batch import runner
    from ..batch.settings import Settings
    from ..bench import piebench, tedbench
    from ..bench.metrics import Metrics
    from ..bench.run import run as bench

    output = options.output or Path(options.benchmark)
    if options.benchmark == "tedbench":
        captions = tedbench.read_captions(options.captions) if options.captions else {}
        pairs = tedbench.read(options.data, captions)
    else:
        pairs = piebench.read(options.data)
    if options.pairs is not None:
        count = checks.integer("--pairs", options.pairs, 1, len(pairs))
        pairs = [pairs[number * len(pairs) // count] for number in range(count)]
    settings = Settings(
        model=options.model,
        device=options.device,
        dtype=options.dtype,
        offload=options.offload,
        config=options.config,
        **arguments.learning(options),
        num_inference_steps=checks.integer("--num-inference-steps", options.num_inference_steps, 1, 1000),
    )
    metrics = Metrics(options.weights, "cuda" if torch.cuda.is_available() else "cpu")
    for missing in metrics.missing:
        print(f"Not measured, since it is missing: {missing}", flush=True)
    content = bench(
        options.benchmark, pairs, output, settings, partial(_engine, options), metrics, options.methods, runner.progress
    )
    print(f"\n{(output / 'RESULTS.md').read_text(encoding='utf-8')}\nWritten to {output}")
    return FAILED_PAIRS if content["failed"] else 0


def _engine(options: argparse.Namespace, settings, folder: Path, output: Path):
    from ..batch.engines import local, ray

    places = {"settings": settings, "folder": folder, "output": output}
    if options.engine == "ray":
        return partial(ray.run, cluster=ray.Cluster(options.address, options.workers), **places)
    return partial(local.run, devices=local.devices(options.device, options.workers), **places)
