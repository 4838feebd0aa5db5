"""Measure edits of real photos: TEdBench (100 pairs) or PIE-Bench (700 pairs with masks).

Imagic by its default recipe; instant, without training; and by the paper's recipe. Beside it LEDITS++ (ledits) and
SDEdit (sdedit), as diffusers ships them, where they run on the model. All that was done is kept, so the same command
goes on where it was stopped, and one with other --methods adds to the report. It writes RESULTS.md, results.json and
contact sheets.

  tedbench   --data: the folder tedbench of the repository imagic-editing/imagic-editing.github.io
  piebench   --data: the folder with mapping_file.json and annotation_images, from the authors of PIE-Bench

--weights is a folder with what the metrics need. What is missing is named, and the rest is measured:
  clip-vit-large-patch14/                      openai/clip-vit-large-patch14: CLIP score
  dino-vitb8/                                  facebook/dino-vitb8: structure distance
  checkpoints/squeezenet1_1-b8a52dc0.pth       torchvision's: LPIPS

examples:
  imagic bench tedbench --data tedbench --model stable-diffusion-v1-5/stable-diffusion-v1-5
  imagic bench piebench --data data --model MODEL --methods default instant --weights weights --engine ray --workers 8

exit status: 0 done, 1 the work failed before its end, 2 misused: an option or a name is wrong, 3 done but for some
pairs, 130 stopped by Ctrl-C
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import checks
from . import arguments

if TYPE_CHECKING:
    from ..bench.pairs import Pair

USAGE = "imagic bench {tedbench,piebench} --data FOLDER --model NAME [options]"
KEPT = "What is done is kept: the same command goes on from there."
FAILED_PAIRS = 3  # an exit status, as batch has it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("benchmark", choices=("tedbench", "piebench"), help="Which benchmark it is.")
    add("--data", type=Path, required=True, metavar="FOLDER", help="The benchmark's folder, as it is published.")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="A folder for pictures and report. It is made if needed. Default: tedbench-results or "
        "piebench-results, here.",
    )
    arguments.add_model(parser)
    methods = ["default", "instant", "paper", "ledits", "sdedit"]
    add(
        "--methods",
        nargs="+",
        choices=methods,
        default=methods,
        metavar="METHOD",
        help=f"Which to measure, of {', '.join(methods)}. Default: all of them that run on the model.",
    )
    add("--pairs", type=int, metavar="N", help="Measure only N pairs, spread evenly. Default: all.")
    add(
        "--captions",
        type=Path,
        metavar="FILE",
        help='What the photos of TEdBench show, for instant: JSON, {"dog.jpg": "a brown dog", ...}.',
    )
    add(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help="The models of the metrics, see above. Default: measure what needs none.",
    )
    arguments.add_learning(parser, "each method's own")
    add(
        "--num-inference-steps",
        type=int,
        metavar="N",
        default=20,
        help="Steps of the sampler, 1 to 1000; ledits has its own. Default: 20.",
    )
    add(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="Who does the work: this machine, or Ray. Default: local.",
    )
    add("--workers", type=int, metavar="N", help=arguments.WORKERS)
    add("--address", help="For --engine ray: the cluster, or auto. Default: this run starts a Ray of its own here.")


def check(options: argparse.Namespace) -> None:
    arguments.check_results(_output(options))
    if options.workers is not None:
        checks.integer("--workers", options.workers, 1, 10000)
    if options.address and options.engine != "ray":
        raise ValueError("--address is for --engine ray: add that, or leave it out.")
    arguments.check_learning(options)
    checks.integer("--num-inference-steps", options.num_inference_steps, *checks.STEPS)
    if options.weights is not None and not options.weights.is_dir():
        raise ValueError(f"--weights is {checks.shown(str(options.weights))}: there is no such folder.")
    if not options.address:  # on a cluster other machines have other files and devices
        arguments.check_model(options)
    _pairs(options)


def run(options: argparse.Namespace) -> int:
    from ..batch import runner
    from ..batch.settings import Settings
    from ..bench.metrics import Metrics
    from ..bench.run import run as bench
    from ..devices import device_of

    output = _output(options)
    settings = Settings(
        model=options.model,
        device=options.device,
        dtype=options.dtype,
        offload=options.offload,
        config=options.config,
        **arguments.learning(options),
        num_inference_steps=options.num_inference_steps,
    )
    # On a cluster the edits are made on other machines.
    metrics = Metrics(options.weights, str(device_of("auto" if options.address else options.device)))
    for missing in metrics.missing:
        print(f"Not measured, since it is missing: {missing}", flush=True)
    engine = partial(_engine, options)
    content = bench(
        options.benchmark, _pairs(options), output, settings, engine, metrics, options.methods, runner.progress
    )
    print(f"\n{(output / 'RESULTS.md').read_text(encoding='utf-8')}\nWritten to {output}")
    return FAILED_PAIRS if content["failed"] else 0


def _output(options: argparse.Namespace) -> Path:
    """The folder of the results. The data's own is often called as the benchmark is."""
    return options.output or Path(f"{options.benchmark}-results")


def _pairs(options: argparse.Namespace) -> "Sequence[Pair]":
    """The pairs that are asked for. Raises ValueError if there are none such."""
    from ..bench import piebench, tedbench

    if options.benchmark == "tedbench":
        captions = tedbench.read_captions(options.captions) if options.captions else {}
        pairs = tedbench.read(options.data, captions)
    elif options.captions:
        raise ValueError("--captions is for tedbench, and PIE-Bench has its own: leave it out.")
    else:
        pairs = piebench.read(options.data)
    if options.pairs is None:
        return pairs
    count = checks.integer("--pairs", options.pairs, 1, len(pairs))
    return [pairs[number * len(pairs) // count] for number in range(count)]


def _engine(options: argparse.Namespace, settings, folder: Path, output: Path):
    from ..batch.engines import local, ray

    places = {"settings": settings, "folder": folder, "output": output}
    if options.engine == "ray":
        return partial(ray.run, cluster=ray.Cluster(options.address, options.workers), **places)
    return partial(local.run, devices=local.devices(options.device, options.workers), **places)
