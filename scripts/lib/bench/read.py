"""Read every image once, in order and at random, from files, tar, plain LMDB and a job."""

import argparse
import os
import tarfile
from itertools import islice, product
from pathlib import Path

from tools.options import add_numbers

from .measure import Contender, Run, compare, program
from .photos import Photos
from .results import Findings, Table
from .workspace import workspace

STORES = {"files": "files", "tar": "tar", "plain-lmdb": "plain LMDB", "runner": "runner"}
COMMITTED_TOGETHER = 1000


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(parser, images=(20_000, "in each store"), rounds=(3, ""))
    parser.add_argument(
        "--warm-only", action="store_true", help="not with the stores pushed out of the page cache"
    )


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Photos.ensure(folder, options.images)
    with workspace(folder / "read") as work:
        paths = make_stores(work, photos, options.images)
        tables = []
        for cached, order in product((True, False), ("in-order", "at-random")):
            if cached or not options.warm_only:
                title = f"{order.replace('-', ' ')}, {'in memory' if cached else 'from disk'}"
                print(title)
                contenders = [reader(store, paths[store], options.images, order, cached) for store in STORES]
                runs = compare(contenders, options.rounds)
                tables.append(Table(title, "image", runs, photos.size(options.images)))
    return Findings(tables)


def make_stores(work: Path, photos: Photos, count: int) -> dict[str, Path]:
    """The same images in each store."""
    files = photos.copy_to(work / "files", count)
    with tarfile.open(work / "images.tar", "w") as archive:
        for file in sorted(files.iterdir()):
            archive.add(file, file.name)
    fill_lmdb(work / "images.lmdb", photos, count)
    return {
        "files": files,
        "tar": work / "images.tar",
        "plain-lmdb": work / "images.lmdb",
        "runner": photos.fill_job(work / "job", count),
    }


def fill_lmdb(file: Path, photos: Photos, count: int) -> None:
    import lmdb

    rows = ((number.to_bytes(4, "big"), body) for number, body in enumerate(photos.bodies(count)))
    with lmdb.open(str(file), subdir=False, map_size=64 << 30, lib_version=0) as store:
        while several := [*islice(rows, COMMITTED_TOGETHER)]:
            with store.begin(write=True) as transaction:
                transaction.cursor().putmulti(several, append=True)


def reader(store: str, path: Path, count: int, order: str, cached: bool) -> Contender:
    reads = program(STORES[store], "read_images.py", count, store, path, count, order)

    def run() -> Run:
        if not cached:
            push_out(path)
        return reads.run()

    if cached:
        reads.run()  # so that the first round finds it in memory too
    return Contender(reads.name, run)


def push_out(path: Path) -> None:
    """Ask the system to forget what it keeps of these files in memory."""
    os.sync()  # what is not written yet cannot be forgotten
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
