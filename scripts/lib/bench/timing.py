"""Time commands in turn, A B A B, and compare them: what else the machine does hits all of them alike."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools.children import Child

PACKAGES = ("pycurl", "requests", "lmdb", "Pillow", "imagehash", "numpy")


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Contender:
    """One row of the table. ``prepare`` and ``clean_up`` run around each run, untimed."""

    name: str
    command: Sequence[str | Path]
    prepare: Callable[[], None] = _nothing
    clean_up: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu_seconds: float


Results = dict[str, list[Run]]


def compare(contenders: Sequence[Contender], runs: int) -> Results:
    """So many rounds, each contender once in each, in this order; by name."""
    results: Results = {contender.name: [] for contender in contenders}
    for number in range(runs):
        for contender in contenders:
            contender.prepare()
            run = measure(contender.command)
            contender.clean_up()
            results[contender.name].append(run)
            print(f"round {number + 1} of {runs}: {contender.name}: {run.seconds:.1f} s", flush=True)
    return results


def measure(command: Sequence[str | Path]) -> Run:
    """The whole process, from its start to its end, and the processor time of it and its children."""
    began = time.monotonic()
    with Child(command, stdout=subprocess.DEVNULL) as child:
        code, cpu = child.wait_for_usage()
    if code:
        raise SystemExit(f"{' '.join(child.command)} ended with {code}")
    return Run(time.monotonic() - began, cpu)


def report(file: Path, results: Results, count: int, byte_count: int, **settings: Any) -> None:
    """Print the table of a comparison over so many images and bytes, and write all its figures as JSON."""
    print(f"\n{count:,} images of {byte_count / count / 1000:.0f} KB; medians (lowest-highest) of the rounds")
    print(table(results, count, byte_count))
    figures = {
        "settings": {"images": count, "bytes": byte_count, **settings},
        "runs": {name: [asdict(run) for run in runs] for name, runs in results.items()},
        "machine": {"system": platform.platform(), "processors": os.cpu_count()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
    file.write_text(json.dumps(figures, indent=2) + "\n")


def table(results: Results, count: int, byte_count: int) -> str:
    """Rates and, against the first row in the same round, ratios."""
    reference = next(iter(results.values()))
    lines = [f"{'':28}{'images/s':>24}{'MB/s':>8}{'CPU us/image':>14}{'ratio':>20}"]
    for name, runs in results.items():
        rates = [count / run.seconds for run in runs]
        ratios = [first.seconds / run.seconds for first, run in zip(reference, runs, strict=True)]
        megabytes = byte_count / 1e6 / statistics.median(run.seconds for run in runs)
        cpu = statistics.median(run.cpu_seconds for run in runs) / count * 1e6
        lines.append(
            f"{name:28}{spread(rates, ',.0f'):>24}{megabytes:>8.0f}{cpu:>14,.0f}{spread(ratios, '.2f'):>20}"
        )
    return "\n".join(lines)


def spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"
