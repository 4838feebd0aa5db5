"""Edit many photos: a table of photos and sentences in, pictures and a table of results out.

The table is a CSV file with a heading and one row a line, or JSONL with one object a line. Its columns:
  photo      the picture to edit; a path, beside the table where it is relative
  sentence   what the finished photo shows
  caption    what the photo shows now; with it, one tuning serves every sentence of a photo (optional)
  mask       a picture of the photo's size, white where the photo may change (optional)
  seed       of the noise (optional, default 0)
  strength   0 is the photo itself, 1 the sentence, 1.2 the default (optional)
  output     the name of the picture that comes out (optional)

A run that was stopped or killed goes on where it was when the same command is given again, and so does one whose
table has grown. A row that cannot be done stops nothing: results.csv says why. Rows that failed are tried again by the
next run. The pictures are the same bytes with any engine but comfyui, and with any number of workers.

examples:
  imagic batch photos.csv out --model stabilityai/stable-diffusion-xl-base-1.0
  imagic batch photos.csv out --model demo --instant                      no training; needs captions
  imagic batch photos.csv out --model MODEL --shard $SLURM_ARRAY_TASK_ID/8
  imagic batch photos.csv out --model MODEL --engine ray --address auto --workers 8
  imagic batch photos.csv out --engine comfyui --servers http://a:8188,http://b:8188 --workflow edit_api.json \\
      --set sentence=4.text --set strength=8.eta

exit status: 0 all done, 1 stopped before the end, 2 misused, 3 some rows could not be done, 130 stopped by Ctrl-C
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import arguments

if TYPE_CHECKING:
    from ..batch.runner import Engine
    from ..batch.settings import Settings

SOME_FAILED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("manifest", type=Path, help="the table, .csv or .jsonl")
    add("output", type=Path, help="a folder, made if it is not there")
    add("--engine", choices=("local", "ray", "comfyui"), default="local", help="default: local, a process for each GPU")
    add("--workers", type=int, metavar="N", help="default: one for each GPU; on a CPU one")
    add("--threads", type=int, metavar="N", help="of the CPU for each worker; other numbers round otherwise")
    add("--shard", default="1/1", metavar="I/N", help="do only this part of the table; photos are never split")
    arguments.add_model(parser, required=False)
    learning = parser.add_argument_group("learning the photos")
    add = learning.add_argument
    add("--instant", action="store_true", help="train nothing: each row's caption tells what the photo shows")
    add("--save-edits", action="store_true", help="keep what was learned of each photo, for imagic apply or ComfyUI")
    add("--size", type=int, metavar="PIXELS", help="side of the square whose area is drawn (default: the model's own)")
    add("--embedding-steps", type=int, metavar="N", help="of stage A (default: 25)")
    add("--tuning-steps", type=int, metavar="N", help="of stage B (default: 10)")
    add("--gradient-checkpointing", action="store_true", help="a third slower, a fraction of the memory")
    arguments.add_sampling(parser)
    parser.add_argument(
        "--as-drawn", action="store_true", help="pictures as the model drew them, not put back into the photos"
    )
    parser.add_argument("--scores", action="store_true", help="score each picture by the model itself; takes longer")
    ray = parser.add_argument_group("--engine ray")
    ray.add_argument("--address", help="of a Ray cluster, or auto; default: a Ray of this run's own on this machine")
    ray.add_argument("--gpus-per-worker", type=float, metavar="X", help="0.5 lets two share one (default: 1 if any)")
    ray.add_argument("--send-photos", action="store_true", help="for workers that do not see this disk")
    comfyui = parser.add_argument_group("--engine comfyui")
    comfyui.add_argument("--servers", metavar="URL,URL", help="the ComfyUI servers")
    comfyui.add_argument("--workflow", type=Path, metavar="FILE", help='your workflow, saved by "Export (API)"')
    comfyui.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="COLUMN=NODE.INPUT",
        help="which input takes a column; NODE is a number or a title",
    )
    comfyui.add_argument("--output-node", default="", metavar="NODE", help="whose pictures are wanted")


def run(options: argparse.Namespace) -> int:
    from .. import checks
    from ..batch import runner, settings
    from ..batch.editor import NoWorker
    from ..batch.manifest import Manifest
    from ..batch.plan import Shard
    from ..whole_file import NotWritten, explained
    from . import DONE, FAILED, MISUSED

    try:
        shard = Shard.parse(options.shard)
        if options.workers is not None:
            checks.integer("--workers", options.workers, 1, 10000)
        wanted, engine, more = (_comfyui if options.engine == "comfyui" else _diffusers)(options)
        manifest = Manifest(options.manifest, more, options.seed, options.strength)
        next(iter(manifest))  # to refuse one that is none before anything is written
        with explained(options.output):
            options.output.mkdir(parents=True, exist_ok=True)
        settings.keep(wanted, options.output)
    except ValueError as error:
        print(f"imagic: {error}", file=sys.stderr)
        return MISUSED
    try:
        outcome = runner.run(manifest, options.output, engine, shard=shard, on_row=runner.progress)
    except (NotWritten, NoWorker) as error:
        print(f"\nimagic: {error} What is done is kept: the same command goes on from there.", file=sys.stderr)
        return FAILED
    print(f"{outcome} See {options.output / shard.table}.")
    return SOME_FAILED if outcome.failed else DONE


def _diffusers(options: argparse.Namespace) -> tuple[Settings, Engine, frozenset[str]]:
    """The local or the Ray engine, and what decides the pictures.

    Raises:
        ValueError: an option is none that can be used.
    """
    from ..batch.settings import Settings, chosen_threads

    if not options.model:
        raise ValueError("--model is missing: name a diffusers folder, an id of a hub, a file, or demo.")
    drawing = arguments.sampling(options)
    for name in ("eta", "generator"):  # which the rows have
        del drawing[name]
    settings = Settings(
        model=options.model,
        device=options.device,
        dtype=options.dtype,
        offload=options.offload,
        config=options.config,
        instant=options.instant,
        **arguments.learning(options),
        as_drawn=options.as_drawn,
        **drawing,
        save_edits=options.save_edits,
        scores=options.scores,
        threads=chosen_threads(options.threads, options.output),
    )
    places = {"folder": options.manifest.absolute().parent, "output": options.output.absolute()}
    if options.engine == "local":
        from ..batch.engines import local

        devices = local.devices(options.device, options.workers)
        return settings, partial(local.run, settings=settings, devices=devices, **places), frozenset()
    from .. import checks
    from ..batch.engines import ray

    gpus = options.gpus_per_worker
    if gpus is not None:
        checks.number("--gpus-per-worker", gpus, 0, 1024)
    cluster = ray.Cluster(options.address, options.workers, gpus, options.send_photos)
    return settings, partial(ray.run, settings=settings, cluster=cluster, **places), frozenset()


def _comfyui(options: argparse.Namespace) -> tuple[Settings, Engine, frozenset[str]]:
    """The ComfyUI engine. Raises ValueError as `_diffusers`."""
    from ..batch.engines import comfyui, comfyui_server
    from ..batch.engines.workflow import Workflow
    from ..batch.settings import Settings

    listed = [address.strip() for address in (options.servers or "").split(",")]
    addresses = [comfyui_server.address_of(address) for address in listed if address]
    if not addresses or not options.workflow:
        raise ValueError("--engine comfyui needs --servers URL,URL and --workflow FILE: add what is missing.")
    workflow = Workflow(options.workflow, options.set, options.output_node)
    engine = partial(
        comfyui.run,
        workflow=workflow,
        folder=options.manifest.absolute().parent,
        addresses=addresses,
    )
    return Settings(model=f"workflow {workflow.digest}"), engine, workflow.more
