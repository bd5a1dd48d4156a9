"""How fast `runner` is beside a bare loop that does only the work: whole processes, measured in turn."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from . import dedup, download, export, hashing, latency, memory, mixed, quality, tls

FOLDER = Path(__file__).resolve().parents[3] / "bench"
EXPERIMENTS = {
    "download": download,
    "hash": hashing,
    "mixed": mixed,
    "latency": latency,
    "tls": tls,
    "memory": memory,
    "dedup": dedup,
    "export": export,
    "quality": quality,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, epilog=f"Figures are also written to {FOLDER}/*.json."
    )
    commands = parser.add_subparsers(dest="experiment", required=True)
    for name, experiment in EXPERIMENTS.items():
        experiment.add_options(
            commands.add_parser(name, help=experiment.__doc__, description=experiment.__doc__)
        )
    options = parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)
    EXPERIMENTS[options.experiment].run(options, FOLDER)
    return 0
