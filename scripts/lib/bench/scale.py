"""Does the cost of a URL stay what it is as their number grows? Every stage, by the size of the list.

Bodies are tiny and all the same, so only what a URL costs by itself is measured. Lists of --offline-from URLs
and more are not downloaded: the job is made as a download would leave it. A list of one URL tells what it
takes to start.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path

from tools import nginx
from tools.driver import RUNNER
from tools.filled import fill
from tools.options import add_numbers
from tools.pictures import encode, photograph

from .growth import START
from .measure import PROGRAMS, Run, Runs, measure, program
from .results import Findings, Table
from .synthetic import ensure_hashes
from .workspace import check_room, remove, room, workspace

STAGES = ("start", "download", "status", "resume", "hash", "dedup", "export")
QUIET = ("--no-progress",)
ALL = ("--dedup", "none", "--min-side", "1")  # of bodies that are all the same

# Bytes of a URL on the disk: its line, row, marks and hash; its body; its file, and a line of metadata.
JOB_BYTES = 1_000
FILE_BYTES = 4_096 + 600


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sizes", type=float, nargs="+", default=[1e4, 1e5, 1e6, 5e6], metavar="N", help="(1e4 1e5 1e6 5e6)"
    )
    add_numbers(
        parser,
        offline_from=(5e6, "no download of so many or more"),
        export_up_to=(5e6, "as many files, if the disk has room"),
        rounds=(1, ""),
    )


def run(options: argparse.Namespace, folder: Path) -> Findings:
    sizes = sorted(int(size) for size in options.sizes)
    tables: dict[str, Runs] = {stage: defaultdict(list) for stage in STAGES}
    body = encode(photograph(1, (64, 48), grain=0), quality=30)
    with workspace(folder / "scale") as work:
        (work / "www").mkdir()
        (work / "www" / "one.jpg").write_bytes(body)
        check_room(work, sizes[-1] * (JOB_BYTES + len(body)) / 1e9, 0)
        with nginx.serve(work / "www", only="one.jpg") as site:
            for count in [int(START), *sizes] * options.rounds:
                job = ScaledJob(work / "job", site, body, count)
                exported = count <= options.export_up_to and has_room_for_export(work, count)
                for stage, run in job.measured(download=count < options.offline_from, export=exported):
                    took = run()
                    tables[stage][f"{count:,}"].append(took)
                    print(f"  {count:,}: {stage}: {took.seconds:.1f} s", flush=True)
                job.remove()
    return Findings([Table(stage, "URL", dict(runs)) for stage, runs in tables.items() if runs])


def has_room_for_export(work: Path, count: int) -> bool:
    """Whether the disk takes so many small files on top of the job; says if not."""
    gigabytes, files = room(work)
    enough = count * (JOB_BYTES + FILE_BYTES) / 1e9 < gigabytes and count * 1.01 < files
    if not enough:
        print(f"  {count:,}: no export: the disk has room for {gigabytes:.1f} GB and {files:,} files")
    return enough


class ScaledJob:
    """A job of so many URLs, and the commands that are measured on it."""

    def __init__(self, folder: Path, site: str, body: bytes, count: int) -> None:
        self._folder = folder
        self._urls = folder.with_suffix(".txt")
        self._out = folder.with_name("out")
        self._body = body
        self._count = count
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._urls.open("w") as file:
            file.writelines(f"{site}/{number:07d}.jpg\n" for number in range(count))

    def measured(self, *, download: bool, export: bool) -> Iterator[tuple[str, Callable[[], Run]]]:
        """Each stage with what runs it, in order."""
        yield "start", self._command(sys.executable, PROGRAMS / "create_job.py", self._folder, self._urls)
        if download:
            yield "download", self._runner("resume", *QUIET)
        else:
            remove(self._folder)
            fill(self._folder, self._urls, repeat(self._body, self._count))
        yield "status", self._runner("status")
        yield "resume", self._runner("resume", *QUIET)
        yield "hash", self._runner("hash", *QUIET)
        yield "dedup", self._dedup()
        if export:
            yield "export", self._runner("export", self._out, *ALL, *QUIET)

    def remove(self) -> None:
        remove(self._folder)
        remove(self._out)

    def _runner(self, word: str, *words: str | Path) -> Callable[[], Run]:
        return self._command(*RUNNER, word, self._folder, *words)

    def _command(self, *words: str | Path) -> Callable[[], Run]:
        return partial(measure, words, self._count)

    def _dedup(self) -> Callable[[], Run]:
        """Over made-up hashes, as all of the job's are the same."""
        hashes = ensure_hashes(self._folder.parents[1], self._count)
        table = self._folder.with_name("dedup.lmdb")
        table.unlink(missing_ok=True)
        return program("dedup", "reduce_once.py", self._count, hashes, table, 4).run
