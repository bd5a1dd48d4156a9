"""Many photographs of real size through hash, dedup and export, pass by pass; imagededup on a part of them.

The photographs are put together of halves of others, so that their pHashes differ; every tenth is a copy of
one that came before, with a few bytes behind its end.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.driver import RUNNER, CommandFailed, Job
from tools.options import add_numbers

from .composites import Composites
from .measure import PROGRAMS, Contender, Run, Runs, command, compare, program
from .peers import IMAGEDEDUP, those_there
from .results import Findings, Table
from .workspace import check_room, workspace

RADIUS = 4
Maker = Callable[[], Contender]


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(
        parser,
        images=(100_000, "for runner"),
        peer_images=(10_000, "for imagededup, the first of them"),
        workers=(8, "processes of each"),
    )


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Composites.ensure(folder, options.images)
    few = min(options.images, options.peer_images)
    size = photos.size(options.images)
    # The job, its export, and the files of the peer.
    check_room(folder, (2 * options.images + few) * size / 1e9, options.images + few)
    with workspace(folder / "dataset") as work:
        print(f"Making a job of {options.images:,} photographs ...", flush=True)
        ours = Ours(photos.fill_job(work / "job", options.images), options.images, options.workers)
        theirs = Theirs(
            folder, photos.copy_to(work / "files", few), work / "hashes.txt", few, options.workers
        )
        hashed = _measured([theirs.hash, ours.hash])
        reduced = _measured([theirs.search, ours.reduce])
        exported = _measured([ours.export])
    both = {
        name: [_together(pair) for pair in zip(hashed[name], reduced[name], strict=True)] for name in hashed
    }
    return Findings(
        [
            Table("hash", "image", hashed, size, timed=True),
            Table("dedup", "image", reduced, timed=True),
            Table("hash and dedup", "image", both, timed=True),
            Table("export", "image", exported, size, timed=True),
        ]
    )


def _measured(makers: Sequence[Maker]) -> Runs:
    return compare(those_there(makers), 1)


def _together(runs: Sequence[Run]) -> Run:
    """Passes one after the other."""
    return Run(
        count=runs[0].count,
        seconds=sum(run.seconds for run in runs),
        cpu_seconds=sum(run.cpu_seconds for run in runs),
        peak_mb=max(run.peak_mb for run in runs),
        parent_mb=max(run.parent_mb for run in runs),
        worker_mb=max(run.worker_mb for run in runs),
    )


@dataclass(frozen=True)
class Ours:
    """The passes of runner on a job that has been downloaded."""

    job: Path
    count: int
    workers: int

    @property
    def name(self) -> str:
        return f"runner, {self.count:,}"

    def hash(self) -> Contender:
        return self._command("hash")

    def reduce(self) -> Contender:
        table = self.job.with_name("dedup.lmdb")
        return program(self.name, "reduce_once.py", self.count, self.job / "hashes", table, RADIUS)

    def export(self) -> Contender:
        """As a user does it, so the dedup is part of it once more."""
        return self._command("export", self._out, "--near", str(RADIUS), clean_up=self._check)

    @property
    def _out(self) -> Path:
        return self.job.with_name("out")

    def _check(self) -> None:
        kept = Job(self.job).status()["dedup"]["unique"]
        found = sum(1 for _ in self._out.glob("*/*.jpg"))
        if found != kept:
            raise CommandFailed(f"runner exported {found:,} of {kept:,} images")

    def _command(
        self, word: str, *words: str | Path, clean_up: Callable[[], object] = lambda: None
    ) -> Contender:
        options = ["--no-progress", "--workers", str(self.workers)]
        return command(self.name, [*RUNNER, word, self.job, *words, *options], self.count, clean_up=clean_up)


@dataclass(frozen=True)
class Theirs:
    """The passes of imagededup on a folder of files.

    ``folder``  where its environment is
    ``hashes``  written by the first pass, read by the second
    """

    folder: Path
    files: Path
    hashes: Path
    count: int
    workers: int

    @property
    def name(self) -> str:
        return f"imagededup, {self.count:,}"

    def hash(self) -> Contender:
        script = PROGRAMS / "imagededup_hash.py"
        words = [self._python, script, self.files, str(self.workers), self.hashes]
        return command(self.name, words, self.count)

    def search(self) -> Contender:
        """The search that it has by default."""
        words = (self.hashes, RADIUS, "brute_force_cython")
        return program(self.name, "imagededup_search.py", self.count, *words, python=self._python)

    @property
    def _python(self) -> Path:
        return IMAGEDEDUP.python(self.folder)
