"""How fast `runner` is, beside the bare work and beside other tools: ratios measured in one run, in turn."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from tools.driver import CommandFailed

from . import (
    dataset,
    dedup,
    download,
    everything,
    export,
    hashing,
    hosts,
    latency,
    memory,
    mixed,
    quality,
    read,
    report,
    scale,
    tables,
    tls,
)
from .results import Record

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "bench"
DOCS = ROOT / "docs"
RESULTS = FOLDER / "results"
QUESTIONS = {
    "download": download,
    "latency": latency,
    "tls": tls,
    "hosts": hosts,
    "mixed": mixed,
    "memory": memory,
    "scale": scale,
    "hash": hashing,
    "dedup": dedup,
    "quality": quality,
    "export": export,
    "dataset": dataset,
    "read": read,
}
EPILOG = f"""
Photographs, made-up hashes and the environments of other tools are made once, in {FOLDER}.
Each table tells, for every contender, the median of the rounds, in brackets the lowest and the highest, and
how many times as fast it was as the first one, round by round. Everything is also written as JSON.
"""


def main(arguments: Sequence[str]) -> int:
    made = parser()
    options = made.parse_args(arguments)
    if options.question == "all":
        return answer_all(made, "quick" if options.quick else "full")
    if options.question == "report":
        report.run(options.results, DOCS)
    else:
        answer(options, arguments[1:])
    return 0


def answer(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Find the answer to one question, show it and keep it."""
    FOLDER.mkdir(exist_ok=True)
    load = round(os.getloadavg()[0], 2)
    findings = QUESTIONS[options.question].run(options, FOLDER)
    record = Record.of(options.question, arguments, load, findings)
    for grid in report.grids(record):
        print("\n" + tables.text(grid))
    for sentence in report.extrapolated(record):
        print("\n" + sentence)
    file = options.json or RESULTS / f"{options.question}.json"
    record.save(file)
    print(f"\nWritten to {file}", flush=True)


def answer_all(made: argparse.ArgumentParser, size: str) -> int:
    """Ask one after the other; a question that fails leaves the others to be answered."""
    failed = []
    for question, arguments in everything.SIZES[size].items():
        print(f"\n== {question} {' '.join(arguments)}", flush=True)
        try:
            answer(made.parse_args([question, *arguments]), arguments)
        except CommandFailed as error:
            print(f"{question}: {error}", flush=True)
            failed.append(question)
    print(f"\nNo answer to: {', '.join(failed)}" if failed else "\nAll answered.")
    return 1 if failed else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="scripts/bench", description=__doc__, epilog=EPILOG)
    commands = made.add_subparsers(dest="question", required=True)
    for name, question in QUESTIONS.items():
        about = str(question.__doc__).replace("%", "%%")
        command = commands.add_parser(name, help=about.partition("\n")[0], description=about)
        question.add_options(command)
        command.add_argument(
            "--json", type=Path, metavar="FILE", help=f"(default: bench/results/{name}.json)"
        )
    about = (
        "Every question whose answer is a speed, one after the other (three and a half hours, or 15 minutes)."
    )
    command = commands.add_parser("all", help=about, description=about)
    command.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    command = commands.add_parser("report", help=report.__doc__, description=report.__doc__)
    command.add_argument(
        "results", type=Path, nargs="?", help="a folder of results to take over first, such as bench/results"
    )
    return made
