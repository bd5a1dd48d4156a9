"""The dedup pass over made-up hashes: time, peak memory, and how both grow with their number."""

import argparse
import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from . import reduce_once
from .synthetic import ensure_hashes

Cost = dict[str, Any]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "counts", type=float, nargs="*", default=[1e6, 5e6], metavar="COUNT", help="hashes (1e6 5e6)"
    )
    parser.add_argument("--radius", type=int, nargs="+", default=[4], metavar="BITS", help="(default: 4)")


def run(options: argparse.Namespace, folder: Path) -> None:
    costs = []
    print(f"{'hashes':>12}{'radius':>8}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}{'table MB':>10}{'kept':>12}")
    for radius in options.radius:
        series = [measure(folder, int(count), radius) for count in options.counts]
        for cost in series:
            print(
                f"{cost['hashes']:>12,}{radius:>8}{cost['seconds']:>9.1f}{cost['cpu_seconds']:>8.1f}"
                f"{cost['peak_mb']:>9.0f}{cost['table_mb']:>10.0f}{cost['unique']:>12,}"
            )
        for smaller, larger in pairwise(series):
            print(growth(smaller, larger))
        costs += series
    (folder / "dedup.json").write_text(json.dumps(costs, indent=2) + "\n")


def measure(folder: Path, count: int, radius: int) -> Cost:
    """One whole pass, in a process of its own."""
    hashes, table = ensure_hashes(folder, count), folder / "dedup.lmdb"
    for file in folder.glob("dedup.lmdb*"):
        file.unlink()
    command = [sys.executable, reduce_once.__file__, str(hashes), str(table), str(radius)]
    cost: Cost = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {"hashes": count, "radius": radius, **cost}


def growth(smaller: Cost, larger: Cost) -> str:
    def exponent(name: str) -> float:
        return math.log(larger[name] / smaller[name]) / math.log(larger["hashes"] / smaller["hashes"])

    return (
        f"from {smaller['hashes']:,} to {larger['hashes']:,}: time grows as n^{exponent('cpu_seconds'):.2f}, "
        f"memory as n^{exponent('peak_mb'):.2f}"
    )
