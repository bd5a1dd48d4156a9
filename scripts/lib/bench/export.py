"""`runner export` of upright JPEGs against `cp -r` of the files that it writes, and against `tar` of them."""

import argparse
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tools.driver import RUNNER, Job, finish
from tools.filled import borrow
from tools.options import add_numbers

from .measure import Contender, command, compare
from .photos import Photos
from .results import Findings, Table
from .workspace import workspace


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(parser, images=(20_000, "in each run"), rounds=(3, ""), workers=(8, "of the export"))


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Photos.ensure(folder, options.images)
    with workspace(folder / "export") as work:
        job = Job(photos.fill_job(work / "job", options.images))
        finish(job.export(work / "original", "--dedup", "none", "--no-progress"))
        contenders = [
            copy(work, options.images),
            tar(work, options.images),
            runner(work, options.images, options.workers),
        ]
        runs = compare(contenders, options.rounds)
    return Findings([Table("to a folder", "image", runs, photos.size(options.images))])


def copy(work: Path, images: int) -> Contender:
    words = ["cp", "-r", work / "original", work / "copy"]
    return command("cp -r", words, images, clean_up=aside(work / "copy"))


def tar(work: Path, images: int) -> Contender:
    """One file instead of many."""
    words = ["tar", "-cf", work / "out.tar", "-C", work, "original"]
    return command("tar", words, images, clean_up=(work / "out.tar").unlink)


def runner(work: Path, images: int, workers: int) -> Contender:
    """Each run writes a new folder, for a job that has never exported."""
    job, out = work / "job-to-export", work / "out"

    def prepare() -> None:
        shutil.rmtree(job, ignore_errors=True)
        borrow(work / "job", job, "batches", "hashes", "manifests")

    words = [*RUNNER, "export", job, out, "--dedup", "none", "--no-progress", "--workers", str(workers)]
    return command("runner export", words, images, prepare, aside(out))


def aside(folder: Path) -> Callable[[], object]:
    """Moves a folder out of the way. Deleted later: ext4 is slow to make files where some were deleted."""
    numbers = count()
    return lambda: folder.rename(folder.with_name(f"{folder.name}-{next(numbers)}"))
