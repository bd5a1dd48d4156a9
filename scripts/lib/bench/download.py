"""Download photographs from nginx and store them: runner, a bare libcurl loop, and tools for the same job."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools import nginx
from tools.options import add_numbers

from . import downloaders
from .downloaders import Assignment
from .measure import Contender, compare
from .peers import those_there
from .photos import Photos
from .results import Findings, Table

# Slow tools get one image of so many of the list: images a second can be compared all the same.
SHARES: dict[str, tuple[Callable[[Assignment], Contender], int]] = {
    "bare": (downloaders.bare_loop, 1),
    "nowhere": (downloaders.stored_nowhere, 1),
    "curl-transport": (partial(downloaders.runner, transport="curl"), 1),
    "requests-transport": (partial(downloaders.runner, transport="requests"), 4),
    "curl": (downloaders.curl, 1),
    "wget": (downloaders.wget, 8),
    "aria2c": (downloaders.aria2c, 20),
    "img2dataset": (downloaders.img2dataset, 6),
    "original": (downloaders.original, 30),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(parser, urls=(60_000, "images; slow tools get a part of them"), rounds=(3, ""))
    parser.add_argument("--only", choices=SHARES, nargs="+", help="only these rows, and the bare loop")


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Photos.ensure(folder, options.urls)
    chosen = {"bare", *(options.only or SHARES)}
    with nginx.serve(photos.folder) as site:

        def entered(name: str) -> Contender:
            make, share = SHARES[name]
            count = -(-options.urls // share)
            return make(Assignment(list(photos.urls(site, count)), folder / "downloaded", count))

        makers = [partial(entered, name) for name in SHARES if name in chosen]
        runs = compare(those_there(makers), options.rounds)
    return Findings([Table("to its own format", "image", runs, photos.size(options.urls))])
