"""Measure contenders in turn, A B A B: what else the machine does hits all of them alike."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.children import Child
from tools.driver import CommandFailed
from tools.memory import MemoryWatch

PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True)
class Run:
    """What it took to do ``count`` things.

    Megabytes are peaks: of all processes together, of the first, of any other. Those of a whole command are
    sampled and without mapped files; a program that times itself tells what the system saw. 0 is unknown.
    ``outcomes`` says what became of the things, where a program tells.
    """

    count: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    parent_mb: float = 0.0
    worker_mb: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor time for each thing."""
        return self.cpu_seconds / self.count * 1e6


Runs = dict[str, list[Run]]


@dataclass(frozen=True)
class Contender:
    """One row of a table, and how to measure it once."""

    name: str
    run: Callable[[], Run]


def _nothing() -> None:
    pass


def command(
    name: str,
    words: Sequence[str | Path],
    count: int,
    prepare: Callable[[], object] = _nothing,
    clean_up: Callable[[], object] = _nothing,
) -> Contender:
    """A whole command with all its processes, from its start to its end.

    ``prepare`` and ``clean_up`` run around it, untimed; the second is also the place to look whether the work
    was done.
    """

    def run() -> Run:
        prepare()
        os.sync()  # what was left to write before is not this one's load
        measured = measure(words, count)
        clean_up()
        return measured

    return Contender(name, run)


def program(
    name: str, script: str, count: int, *arguments: object, python: object = sys.executable
) -> Contender:
    """One of ``programs/``, which begins its own clock when it is ready and prints what it took as JSON."""

    def run() -> Run:
        words = [str(word) for word in (python, PROGRAMS / script, *arguments)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise CommandFailed(f"{' '.join(words)} ended with {done.returncode}")
        return Run(count=count, **json.loads(done.stdout.splitlines()[-1]))

    return Contender(name, run)


def measure(words: Sequence[str | Path], count: int) -> Run:
    """One command that does so many things; a failure of it ends the benchmark."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        with Child(words, stdout=subprocess.DEVNULL, stderr=said) as child, MemoryWatch(child) as memory:
            code, cpu = child.wait_for_usage()
        if code:
            said.seek(0)
            raise CommandFailed(f"{' '.join(child.command)} ended with {code}: {said.read()[-2000:]}")
    seconds = time.monotonic() - began
    return Run(count, seconds, cpu, memory.peak.together, memory.peak.parent, memory.peak.worker)


def compare(contenders: Sequence[Contender], rounds: int) -> Runs:
    """So many rounds, each contender once in each, in this order; by name."""
    runs: Runs = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            run = contender.run()
            runs[contender.name].append(run)
            print(f"  round {number + 1} of {rounds}: {contender.name}: {run.seconds:.1f} s", flush=True)
    return runs
