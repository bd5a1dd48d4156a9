"""Memory of a worker under 64 bodies that never end: what the caps allow, and how much of it is used."""

import argparse
from pathlib import Path

from . import site
from .single import in_turn, report, worker

CONNECTIONS = 64


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=256, help="endless bodies in all (default: %(default)s)")
    parser.add_argument("--megabytes", type=int, default=10, help="cap of a body (default: %(default)s)")


def run(options: argparse.Namespace, folder: Path) -> None:
    urls = folder / "memory.txt"
    cap = options.megabytes * 1_000_000
    with site.serve(site.Manner(endless=True)) as place:
        urls.write_text("".join(f"{place}/{number}\n" for number in range(options.urls)))
        settings = {"connections": CONNECTIONS, "max_bytes": cap, "timeout": 60.0, "retries": 0}
        results = in_turn(
            {
                name: lambda name=name: worker(urls, **settings, transport=name)  # type: ignore[misc]
                for name in ("curl", "requests")
            },
            1,
        )
    rows = [
        f"{CONNECTIONS} connections x {options.megabytes} MB: {CONNECTIONS * options.megabytes:,} MB at most"
    ]
    for name, (taken,) in results.items():
        rows.append(f"{name:10} grew by {taken['bytes'] / 1e6:,.0f} MB; {taken['outcomes']}")
    report(folder / "memory.json", results, rows)
