"""How far hanging and failing hosts hold up the good URLs between them, in one worker."""

import argparse
import json
import random
import socket
from pathlib import Path

from tools import nginx

from .hosts import address, closed_port
from .measure import compare, program
from .photos import Photos
from .results import Findings, Table


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=5000, help="good ones (default: %(default)s)")
    parser.add_argument("--hanging", type=float, default=0.01, help="share of hosts (default: %(default)s)")
    parser.add_argument("--failing", type=float, default=0.05, help="share of hosts (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=10.0, help="the deadline (default: %(default)s)")
    parser.add_argument("--retries", type=int, default=0, help="of what may pass (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Photos.ensure(folder, options.urls)
    good, mixed = folder / "good.txt", folder / "mixed.txt"
    # A listener that accepts nothing: the kernel makes the connection, and nobody ever answers.
    with nginx.serve(photos.folder) as site, socket.create_server(("0.0.0.0", 0), backlog=4096) as silent:
        lines = [*photos.urls(site, options.urls)]
        good.write_text("\n".join(lines))
        lines += _hosts("127.2", silent.getsockname()[1], round(options.urls * options.hanging))
        lines += _hosts("127.3", closed_port(), round(options.urls * options.failing))
        random.Random(7).shuffle(lines)
        mixed.write_text("\n".join(lines))
        settings = {"timeout": options.timeout, "retries": options.retries}
        contenders = [
            program(name, "one_worker.py", options.urls, urls, json.dumps(settings), until)
            for name, urls, until in (
                ("good alone", good, "last-good"),
                ("mixed, until the last good one", mixed, "last-good"),
                ("mixed, until the end", mixed, "end"),
            )
        ]
        runs = compare(contenders, options.rounds)
    return Findings([Table(f"deadline {options.timeout:g} s", "good URL", runs, photos.size(options.urls))])


def _hosts(net: str, port: int, count: int) -> list[str]:
    """URLs on so many hosts."""
    return [f"http://{address(net, number)}:{port}/x.jpg" for number in range(count)]
