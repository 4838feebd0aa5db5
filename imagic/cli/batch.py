"""Edit many photos: a table of photos and sentences in, pictures and a table of results out.

The table is a CSV file with a heading and one row a line, or JSONL with one object a line. Its columns:
  photo      the picture to edit; a path, beside the table where it is relative
  sentence   what the finished photo shows
  caption    what the photo shows now; with it, one tuning serves every sentence of a photo (optional)
  mask       a picture of the photo's size, white where the photo may change (optional)
  seed       of the noise (optional, default 0)
  strength   0 is the photo itself, 1 the sentence (optional, default 1.2)
  output     the name of the picture that comes out (optional, default PHOTO-ROW.png, such as dog-12.png)

A run that was stopped or killed goes on where it was when the same command is given again. The table may have grown
meanwhile. Add rows at its end: elsewhere they change the numbers of those behind them, and so the default names.

A row that cannot be done stops nothing: results.csv says why. The next run tries rows again that failed, and rows whose
photo or mask was replaced. The pictures are the same bytes with any engine but comfyui, and with any number of workers.

examples:
  imagic batch photos.csv out --model stabilityai/stable-diffusion-xl-base-1.0
  imagic batch photos.csv out --model demo --instant                      no training; needs captions
  imagic batch photos.csv out --model MODEL --shard $SLURM_ARRAY_TASK_ID/8
  imagic batch photos.csv out --model MODEL --engine ray --address auto --workers 8
  imagic batch photos.csv out --engine comfyui --servers http://a:8188,http://b:8188 --workflow edit_api.json \\
      --set sentence=4.text --set strength=8.eta

exit status: 0 all done, 1 the work failed before its end, 2 misused: an option or a name is wrong, 3 done but for some
rows, 130 stopped by Ctrl-C
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import checks
from . import arguments

if TYPE_CHECKING:
    from ..batch.engines.workflow import Workflow
    from ..batch.manifest import Manifest
    from ..batch.runner import Engine
    from ..batch.settings import Settings

USAGE = "imagic batch TABLE OUTPUT --model NAME [options]\n       imagic batch TABLE OUTPUT --engine comfyui [options]"
KEPT = "What is done is kept: the same command goes on from there."
SOME_FAILED = 3
# Which options are of one engine alone.
OF_AN_ENGINE = {
    "ray": ("address", "gpus_per_worker", "send_photos"),
    "comfyui": ("servers", "workflow", "set", "output_node"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("manifest", type=Path, metavar="TABLE", help="The table of photos and sentences, .csv or .jsonl.")
    add("output", type=Path, metavar="OUTPUT", help="A folder for the pictures and results.csv. It is made if needed.")
    add(
        "--engine",
        choices=("local", "ray", "comfyui"),
        default="local",
        help="Who does the work: this machine, Ray, or ComfyUI servers. Default: local.",
    )
    add("--workers", type=int, metavar="N", help=arguments.WORKERS)
    add(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads of each worker, 1 to 1024. Another number rounds otherwise. Default: those of the run that "
        "began the folder, or as many as PyTorch takes.",
    )
    add(
        "--shard",
        default="1/1",
        metavar="I/N",
        help="Do only part I of N of the table. A photo's rows are never split. Default: 1/1, all of it.",
    )
    arguments.add_model(parser, required=False)
    learning = parser.add_argument_group("learning the photos")
    learning.add_argument(
        "--instant",
        action="store_true",
        help="Train nothing: each row's caption says what the photo shows now. Default: off.",
    )
    learning.add_argument(
        "--save-edits",
        action="store_true",
        help="Also keep what was learned, in OUTPUT/edits, for imagic apply, ComfyUI or diffusers. Default: off.",
    )
    arguments.add_learning(learning)
    drawing = arguments.add_sampling(parser, " in rows that do not say it")
    drawing.add_argument(
        "--as-drawn",
        action="store_true",
        help="Write pictures at the size that the model drew, not put back into the photos. Default: off.",
    )
    drawing.add_argument(
        "--scores",
        action="store_true",
        help="Let the model score each picture in results.csv, which takes longer. Default: off.",
    )
    ray = parser.add_argument_group("--engine ray")
    ray.add_argument("--address", help="The Ray cluster, or auto. Default: this run starts a Ray of its own here.")
    ray.add_argument(
        "--gpus-per-worker",
        type=float,
        metavar="X",
        help="GPUs of each worker, 0 to 1024. With 0.5 two workers share one. Default: 1, or 0 where there is none.",
    )
    ray.add_argument(
        "--send-photos",
        action="store_true",
        help="Send the photos to the workers, which may not see this disk. Default: off.",
    )
    comfyui = parser.add_argument_group("--engine comfyui")
    comfyui.add_argument("--servers", metavar="URL,URL", help="The ComfyUI servers, with commas in between. Required.")
    comfyui.add_argument(
        "--workflow", type=Path, metavar="FILE", help='Your workflow, saved by "Export (API)" in ComfyUI. Required.'
    )
    comfyui.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="COLUMN=NODE.INPUT",
        help="Which input takes a column of the table. NODE is a number or a title. Give it once for each column.",
    )
    comfyui.add_argument(
        "--output-node",
        default="",
        metavar="NODE",
        help="The node whose pictures are wanted, a number or a title. Default: the only Save Image node.",
    )


def check(options: argparse.Namespace) -> None:
    from ..batch import results
    from ..batch.plan import Shard

    arguments.check_results(options.output)
    table = options.output / Shard.parse(options.shard).table
    if options.workers is not None:
        checks.integer("--workers", options.workers, 1, 10000)
    for engine, names in OF_AN_ENGINE.items():
        given = next((name for name in names if getattr(options, name) and engine != options.engine), None)
        if given:
            raise ValueError(f"--{given.replace('_', '-')} is for --engine {engine}: add that, or leave it out.")
    arguments.check_sampling(options)
    if options.engine == "comfyui":
        more = _workflow(options).more
    else:
        more = frozenset()
        _check_model(options)
    next(iter(_manifest(options, more)))  # to refuse one that is none before anything is written
    results.check(table)


def _check_model(options: argparse.Namespace) -> None:
    """Raises ValueError unless the local or the Ray engine can begin."""
    if options.model is None:
        raise ValueError("--model is missing: name a diffusers folder, an id of a hub, a file, or demo.")
    if not options.address:  # on a cluster other machines have other files and devices
        arguments.check_model(options)
    arguments.check_learning(options)
    if options.threads is not None:
        checks.integer("--threads", options.threads, 1, 1024)
    if options.gpus_per_worker is not None:
        checks.number("--gpus-per-worker", options.gpus_per_worker, 0, 1024)


def run(options: argparse.Namespace) -> int:
    from ..batch import runner, settings
    from ..batch.plan import Shard
    from ..whole_file import explained
    from . import DONE, MISUSED

    shard = Shard.parse(options.shard)
    wanted, engine, more = (_comfyui if options.engine == "comfyui" else _diffusers)(options)
    with explained(options.output):
        options.output.mkdir(parents=True, exist_ok=True)
    try:
        settings.keep(wanted, options.output)
    except settings.OtherSettings as error:
        print(f"imagic: {error}", file=sys.stderr)
        return MISUSED
    manifest = _manifest(options, more)
    outcome = runner.run(manifest, options.output, engine, shard=shard, on_row=runner.progress)
    print(f"{outcome} See {options.output / shard.table}.")
    return SOME_FAILED if outcome.failed else DONE


def _manifest(options: argparse.Namespace, more: frozenset[str]) -> Manifest:
    from ..batch.manifest import Manifest

    return Manifest(options.manifest, more, options.seed, options.strength)


def _diffusers(options: argparse.Namespace) -> tuple[Settings, Engine, frozenset[str]]:
    """The local or the Ray engine, and what decides the pictures."""
    from ..batch.settings import Settings, chosen_threads

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
    from ..batch.engines import ray

    cluster = ray.Cluster(options.address, options.workers, options.gpus_per_worker, options.send_photos)
    return settings, partial(ray.run, settings=settings, cluster=cluster, **places), frozenset()


def _comfyui(options: argparse.Namespace) -> tuple[Settings, Engine, frozenset[str]]:
    """The ComfyUI engine, in the same way."""
    from ..batch.engines import comfyui
    from ..batch.settings import Settings

    workflow, folder = _workflow(options), options.manifest.absolute().parent
    engine = partial(comfyui.run, workflow=workflow, folder=folder, addresses=_servers(options))
    return Settings(model=f"workflow {workflow.digest}"), engine, workflow.more


def _workflow(options: argparse.Namespace) -> Workflow:
    """Raises ValueError unless the ComfyUI engine can begin."""
    from ..batch.engines.workflow import Workflow

    if not _servers(options) or not options.workflow:
        raise ValueError("--engine comfyui needs --servers URL,URL and --workflow FILE: add what is missing.")
    return Workflow(options.workflow, options.set, options.output_node)


def _servers(options: argparse.Namespace) -> list[str]:
    """Raises ValueError if one is no address."""
    from ..batch.engines.comfyui_server import address_of

    listed = [address.strip() for address in (options.servers or "").split(",")]
    return [address_of(address) for address in listed if address]
