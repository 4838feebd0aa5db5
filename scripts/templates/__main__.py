"""Write the templates and the blueprints anew after a change to a node, to the demo's graph or to a page.

    python -m scripts.templates                 the files
    python -m scripts.templates --thumbnails    and the pictures of the templates and the help pages, by running them
                                                with the demo model (minutes)

`blueprints` has what is inside the nodes made of nodes, `pages` and `wires` what stands where.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts import hosts, workflow
from scripts.client import Client
from scripts.server import Server
from scripts.templates import thumbnails
from scripts.templates.files import files


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.templates", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--thumbnails", action="store_true", help="run each template and draw the pictures")
    options = parser.parse_args()
    try:
        host = hosts.find()
    except hosts.HostError as error:
        sys.exit(f"Error: {error}")
    print(f"Host: {host}", flush=True)
    thumbnails.masked_photo().save(workflow.MASKED_PHOTO)
    with TemporaryDirectory() as home, Server(host, Path(home), cpu=True) as server, Client(server.address) as client:
        for path, content in files(client.object_info()).items():
            path.write_text(content, encoding="utf-8")
            print(path.relative_to(hosts.ROOT), flush=True)
        if options.thumbnails:
            thumbnails.draw_all(client)


if __name__ == "__main__":
    main()
