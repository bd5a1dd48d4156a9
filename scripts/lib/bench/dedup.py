"""The dedup pass over made-up hashes, and imagededup's searches on as many as they can finish.

The hashes are as alike as those of a crawl: a third are copies of others, at a distance of 0, 2 and 4 bits.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tools.options import add_numbers

from .measure import Contender, Run, compare, program
from .peers import IMAGEDEDUP, those_there
from .results import Findings, Table
from .synthetic import ensure_hashes, write_phashes
from .workspace import check_room

MANY = "many hashes"
BYTES = 180  # of a hash on the disk, and in the table
# imagededup's searches, and how many hashes each takes in about half a minute.
SEARCHES = {"bktree": 3_000, "brute_force_cython": 10_000}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hashes",
        type=float,
        nargs="*",
        default=[1e6, 5e6],
        metavar="N",
        help="for runner (1e6 5e6); 2e7 take 3 GB of memory and 4 GB of disk",
    )
    add_numbers(parser, radius=(4, "in bits"), rounds=(3, ""))
    parser.add_argument("--alone", action="store_true", help="without imagededup")


def run(options: argparse.Namespace, folder: Path) -> Findings:
    beside = [] if options.alone else [*_beside_imagededup(options, folder)]
    return Findings([*beside, _alone(options, folder)])


def _beside_imagededup(options: argparse.Namespace, folder: Path) -> Iterator[Table]:
    for method, count in SEARCHES.items():
        print(f"{count:,} hashes")
        makers: list[Callable[[], Contender]] = [
            partial(runner, "runner", folder, count, options.radius),
            partial(imagededup, method, folder, count, options.radius),
        ]
        yield Table(f"{count:,} hashes", "hash", compare(those_there(makers), options.rounds))


def _alone(options: argparse.Namespace, folder: Path) -> Table:
    """The first is the fewest: the ratios tell how flat the time for each is."""
    counts = [int(count) for count in sorted(options.hashes)]
    check_room(folder, sum(counts) * BYTES / 1e9, 0)
    contenders = [runner(f"runner, {count:,}", folder, count, options.radius) for count in counts]
    return Table(MANY, "hash", compare(contenders, options.rounds))


def runner(name: str, folder: Path, count: int, radius: int) -> Contender:
    """One whole pass: hashes read, searched, and the table written."""
    table = folder / "dedup.lmdb"
    reduce = program(name, "reduce_once.py", count, ensure_hashes(folder, count), table, radius)

    def run() -> Run:
        for file in folder.glob("dedup.lmdb*"):
            file.unlink()
        return reduce.run()

    return Contender(name, run)


def imagededup(method: str, folder: Path, count: int, radius: int) -> Contender:
    """The search alone, with a process for each core, as is its default."""
    python = IMAGEDEDUP.python(folder)
    hashes = write_phashes(folder, count)
    return program(
        f"imagededup, {method}", "imagededup_search.py", count, hashes, radius, method, python=python
    )
