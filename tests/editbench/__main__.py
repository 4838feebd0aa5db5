"""EditBench: how good an edit is and what it costs, against the true picture of the edit that only a renderer has.

    make editbench                                     everything; writes RESULTS.md and results.json beside this file
    make editbench PAIRS=10                            a quick look, written to build/editbench/quick
    make editbench ARGS="--methods sdedit"             these methods anew; the results of others stay where they hold
    make editbench PEER=path/imagic_stable_diffusion.py   and that diffusers community pipeline as a rival

One file an idea: `pairs` (what is edited), `studio` (model, sampler and settings that all methods share), `pack` (what
this pack adds to sampling), `cost` (how evaluations are counted), `methods/` (one file a method), `run` and `store`
(all of it, on several cores, resumable), `earlier` (what of the last results still holds), `metrics` (a picture against
its truth), `judge` (all pictures), `summary`, `results` and `plots` (what is written).
"""

import argparse
import shlex
import sys
from pathlib import Path

from . import earlier, methods, plots, results
from .judge import judge
from .run import WORKERS, processes, run, tasks
from .store import FOLDER, Store
from .studio import available

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.editbench", description=__doc__)
    parser.add_argument("--pairs", type=int, help="the first so many pairs; default: all")
    parser.add_argument("--methods", nargs="+", help="only these; default: all")
    parser.add_argument(
        "--models", nargs="+", choices=available(), help="only these; default: all whose weights are there"
    )
    parser.add_argument("--development", action="store_true", help="on the development pairs alone, to choose settings")
    parser.add_argument("--workers", type=int, default=WORKERS, help="processes, of one thread each")
    options = parser.parse_args()
    try:
        known = methods.available()
    except OSError as error:
        sys.exit(f"Error: PEER must be the path of imagic_stable_diffusion.py: {error}.")
    if unknown := set(options.methods or ()) - set(known):
        sys.exit(f"Error: no method {', '.join(sorted(unknown))}: choose from {', '.join(known)}.")

    earlier_results = earlier.read(HERE / "results.json")
    # The peer's results can be kept without its file.
    kept = {"peer": methods.rival(made)} if (made := earlier_results.get("settings", {}).get("peer")) else {}
    everything = kept | known
    wanted = set(options.methods or known)
    wanted |= {methods.CEILING, *(known[name].like for name in wanted)}
    chosen = {name: known[name] for name in known if name in wanted}
    group = "development" if options.development else "bench"
    models = options.models or available()
    todo = {model: tasks(chosen, group, options.pairs, model) for model in models}
    store, keys = Store(chosen, models=models), earlier.keys(everything, available())
    with processes(options.workers) as pool:
        run([task for some in todo.values() for task in some], store, pool, options.workers)

    judged = {model: judge(methods.on(model, chosen), some, store) for model, some in todo.items()}
    in_full = options.pairs is None and not options.development
    before = earlier.held(earlier_results, keys) if in_full else {}
    found = results.collect(everything, judged, keys, group, before)
    # A look at some of the pairs or methods must not take the place of the whole.
    whole = in_full and all(
        methods.on(model, known).keys() <= found["summary"].get(model, {}).keys() for model in available()
    )
    folder = HERE if whole else FOLDER / "quick"
    results.write(folder, found, everything, _command())
    for model, rows in judged.items():
        plots.trade_off(found, model, everything, folder / f"curve-{model}.png")
        # A sheet compares with the default; without its pictures the last sheets stay.
        if "default" in chosen:
            plots.contact_sheets(rows, found, model, everything, folder, group)
        for name, figures in found["summary"][model].items():
            low, high = figures["complete_interval"]
            print(
                f"{model} {name:15} {figures['pairs']:3} pairs  complete {figures['complete']:.2f} "
                f"({low:.2f}-{high:.2f})  edit score {figures['edit_score']:.2f}  "
                f"{figures['forward_equivalents']:6.0f} forward-equivalents  "
                f"{figures['plain_samples']:5.1f} plain samples"
            )
    print(f"Written to {folder}")


def _command() -> str:
    return shlex.join(["python", "-m", "tests.editbench", *sys.argv[1:]])


if __name__ == "__main__":
    main()
