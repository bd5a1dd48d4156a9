"""Memory of a worker under 64 bodies that never end: no more than the caps allow."""

import argparse
import json
from pathlib import Path

from tools.options import add_numbers

from . import site
from .measure import compare, program
from .results import Findings, Table

CONNECTIONS = 64


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(parser, urls=(256, "endless bodies in all"), megabytes=(10, "cap of a body"))


def run(options: argparse.Namespace, folder: Path) -> Findings:
    urls = folder / "memory.txt"
    settings = {
        "connections": CONNECTIONS,
        "max_bytes": options.megabytes * 1_000_000,
        "timeout": 60.0,
        "retries": 0,
    }
    with site.serve(site.Manner(endless=True)) as place:
        urls.write_text("".join(f"{place}/{number}\n" for number in range(options.urls)))
        contenders = [
            program(name, "one_worker.py", options.urls, urls, json.dumps({**settings, "transport": name}))
            for name in ("curl", "requests")
        ]
        runs = compare(contenders, 1)
    title = f"{CONNECTIONS} connections x {options.megabytes} MB"
    return Findings([Table(title, "download", runs)])
