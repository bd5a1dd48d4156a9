"""How far hanging and failing hosts hold up the good URLs between them, in one worker."""

import argparse
import json
import random
from pathlib import Path

from tools import nginx
from tools.options import add_numbers

from .hosts import address, closed_port, silent_port
from .measure import compare, program
from .photos import Photos
from .results import Findings, Table


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(
        parser,
        urls=(5000, "good ones"),
        hanging=(0.01, "share of hosts"),
        failing=(0.05, "share of hosts"),
        timeout=(10.0, "the deadline"),
        retries=(0, "of what may pass"),
        rounds=(3, ""),
    )


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Photos.ensure(folder, options.urls)
    good, mixed = folder / "good.txt", folder / "mixed.txt"
    with nginx.serve(photos.folder) as site, silent_port() as silent:
        lines = [*photos.urls(site, options.urls)]
        good.write_text("\n".join(lines))
        lines += _hosts("127.2", silent, round(options.urls * options.hanging))
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
