"""Make the example workflows anew after a change to the demo's graph, to a node or to a layout.

    python -m scripts.templates                 the workflows and their graphs
    python -m scripts.templates --thumbnails    and their thumbnails and the help pages' pictures, by running them with
                                                the demo model (minutes)

What a workflow does stands in example_workflows/api/; its values follow the demo's (`recipe`), its nodes stand where
`places` says. The demo's own workflow is laid out by hand.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts import hosts, workflow
from scripts.client import Client
from scripts.server import Server
from scripts.templates import geometry, thumbnails
from scripts.templates.layout import Layout, written
from scripts.templates.places import PLACES
from scripts.templates.recipe import complete, follow


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.templates", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--thumbnails", action="store_true", help="run each workflow and draw the pictures")
    parser.add_argument("--only", nargs="+", choices=PLACES, default=list(PLACES), help="these workflows alone")
    options = parser.parse_args()
    try:
        host = hosts.find()
    except hosts.HostError as error:
        sys.exit(f"Error: {error}")
    print(f"Host: {host}", flush=True)
    thumbnails.masked_photo().save(workflow.MASKED_PHOTO)
    thumbnails.banner().save(hosts.ROOT / "assets" / "banner.png")
    with TemporaryDirectory() as home, Server(host, Path(home), cpu=True) as server, Client(server.address) as client:
        info = client.object_info()
        for name in options.only:
            graph = complete(follow(name, workflow.load(name)), info)
            laid_out = Layout(name, graph, info, PLACES[name]).workflow()
            (workflow.FOLDER / "api" / f"{name}.json").write_text(_json(graph), encoding="utf-8")
            (workflow.FOLDER / f"{name}.json").write_text(written(laid_out), encoding="utf-8")
            behind, crossings = len(geometry.behind(laid_out)), len(geometry.crossings(laid_out))
            print(f"{name}: {behind} links behind nodes, {crossings} crossings", flush=True)
            if options.thumbnails:
                thumbnails.draw(name, graph, client).save(workflow.FOLDER / f"{name}.jpg", quality=88)
                if name == "imagic_pick_eta":
                    thumbnails.help_pictures(graph, client)


def _json(graph: dict) -> str:
    return json.dumps(graph, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
