"""Does the cost of a URL stay what it is as their number grows? Every stage, by the size of the list.

Bodies are tiny and all the same, so only what a URL costs by itself is measured. Lists of --offline-from URLs
and more are not downloaded: the job is made as a download would leave it.
"""

import argparse
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path

from tools import nginx
from tools.driver import RUNNER
from tools.filled import fill
from tools.pictures import encode, photograph

from .measure import PROGRAMS, Run, Runs, measure, program
from .results import Findings, Table
from .synthetic import ensure_hashes

STAGES = ("start", "download", "status", "resume", "hash", "dedup", "export")
QUIET = ("--no-progress",)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sizes", type=float, nargs="+", default=[1e4, 1e5, 1e6, 5e6], metavar="N", help="(1e4 1e5 1e6 5e6)"
    )
    parser.add_argument("--offline-from", type=float, default=5e6, metavar="N", help="(default: %(default)g)")
    parser.add_argument(
        "--export-up-to", type=float, default=1e6, metavar="N", help="as many files (default: %(default)g)"
    )
    parser.add_argument("--rounds", type=int, default=1, help="(default: %(default)s)")


def run(options: argparse.Namespace, folder: Path) -> Findings:
    work = folder / "scale"
    shutil.rmtree(work, ignore_errors=True)
    www = work / "www"
    www.mkdir(parents=True)
    body = encode(photograph(1, (64, 48), grain=0), quality=30)
    (www / "one.jpg").write_bytes(body)
    tables: dict[str, Runs] = {stage: defaultdict(list) for stage in STAGES}
    try:
        with nginx.serve(www, only="one.jpg") as site:
            for count in [int(size) for size in options.sizes] * options.rounds:
                job = ScaledJob(work / "job", site, body, count)
                exported = count <= options.export_up_to
                for stage, run in job.measured(download=count < options.offline_from, export=exported):
                    took = run()
                    tables[stage][f"{count:,}"].append(took)
                    print(f"  {count:,}: {stage}: {took.seconds:.1f} s", flush=True)
                job.remove()
    finally:
        shutil.rmtree(work)
    return Findings([Table(stage, "URL", dict(runs)) for stage, runs in tables.items() if runs])


class ScaledJob:
    """A job of so many URLs, and the commands that are measured on it."""

    def __init__(self, folder: Path, site: str, body: bytes, count: int) -> None:
        self._folder = folder
        self._urls = folder.with_suffix(".txt")
        self._body = body
        self._count = count
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._urls.open("w") as file:
            file.writelines(f"{site}/{number:07d}.jpg\n" for number in range(count))

    def measured(self, *, download: bool, export: bool) -> Iterator[tuple[str, Callable[[], Run]]]:
        """Each stage with what runs it, in order."""
        yield "start", self._command(sys.executable, PROGRAMS / "create_job.py", self._folder, self._urls)
        if download:
            yield "download", self._command(*RUNNER, "resume", self._folder, *QUIET)
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
            fill(self._folder, self._urls, repeat(self._body, self._count))
        yield "status", self._command(*RUNNER, "status", self._folder)
        yield "resume", self._command(*RUNNER, "resume", self._folder, *QUIET)
        yield "hash", self._command(*RUNNER, "hash", self._folder, *QUIET)
        yield "dedup", self._dedup()
        if export:
            words = [
                "export",
                self._folder,
                self._folder.with_name("out"),
                "--dedup",
                "none",
                "--min-side",
                "1",
            ]
            yield "export", self._command(*RUNNER, *words, *QUIET)

    def remove(self) -> None:
        shutil.rmtree(self._folder)
        shutil.rmtree(self._folder.with_name("out"), ignore_errors=True)

    def _command(self, *words: str | Path) -> Callable[[], Run]:
        return partial(measure, words, self._count)

    def _dedup(self) -> Callable[[], Run]:
        """Over made-up hashes, as all of the job's are the same."""
        hashes = ensure_hashes(self._folder.parents[1], self._count)
        table = self._folder.with_name("dedup.lmdb")
        table.unlink(missing_ok=True)
        return program("dedup", "reduce_once.py", self._count, hashes, table, 4).run
