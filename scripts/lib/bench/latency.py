"""One worker of runner and a bare libcurl loop, by the delay of the server and the number of connections."""

import argparse
import json
from itertools import product
from pathlib import Path

from tools.options import add_numbers

from . import site
from .measure import compare, program
from .results import Findings, Table

# What the server can do at most on a core that it shares: a run takes about --seconds.
RATE = 4000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--delays", type=int, nargs="+", default=[0, 50, 200], metavar="MS", help="(0 50 200)"
    )
    parser.add_argument(
        "--connections", type=int, nargs="+", default=[64, 256, 1000], metavar="N", help="(64 256 1000)"
    )
    add_numbers(parser, seconds=(5.0, "about, for each run"), rounds=(3, ""))


def run(options: argparse.Namespace, folder: Path) -> Findings:
    cases = product(options.delays, options.connections)
    return Findings([_table(folder / "latency.txt", *case, options) for case in cases])


def _table(urls: Path, delay: int, connections: int, options: argparse.Namespace) -> Table:
    limit = connections / delay * 1000 if delay else RATE
    count = round(min(limit, RATE) * options.seconds)
    title = f"{delay} ms, {connections:,} connections"
    print(title)
    with site.serve(site.Manner(delay=delay / 1000)) as place:
        urls.write_text("".join(f"{place}/{number}\n" for number in range(count)))
        settings = {"connections": connections}
        contenders = [
            program("bare libcurl loop", "reference_loop.py", count, urls, json.dumps(settings)),
            program("runner", "one_worker.py", count, urls, json.dumps({**settings, "timeout": 30.0})),
        ]
        runs = compare(contenders, options.rounds)
    return Table(title, "image", runs, len(site.BODY))
