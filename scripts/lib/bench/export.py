"""`runner export` of upright JPEGs against `cp -r` of the files that it writes."""

import argparse
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tools import nginx
from tools.driver import RUNNER, Job, finish

from . import photos
from .timing import Contender, compare, report

# Folders of a job that an export only reads: each run's job can have the same.
SHARED = {"batches", "hashes", "manifests"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=20_000, help="images in each run (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=8, help="of the export (default: %(default)s)")


def run(options: argparse.Namespace, folder: Path) -> None:
    pictures = photos.ensure_photos(folder)
    work = folder / "export"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    job = Job(work / "job")
    try:
        with nginx.serve(pictures) as site:
            urls = photos.write_list(work / "urls.txt", site, options.urls)
            finish(job.start(urls, "--allow-private", "--no-progress"))
        finish(job.export(work / "original", "--dedup", "none", "--no-progress"))
        results = compare([copy(work), runner(work, options.workers)], options.runs)
    finally:
        shutil.rmtree(work)
    byte_count = photos.served_bytes(pictures, options.urls)
    report(
        folder / "export.json", results, count=options.urls, byte_count=byte_count, workers=options.workers
    )


def copy(work: Path) -> Contender:
    return Contender("cp -r", ["cp", "-r", work / "original", work / "copy"], clean_up=aside(work / "copy"))


def runner(work: Path, workers: int) -> Contender:
    """Each run writes a new folder, for a job that has never exported."""
    job, out = work / "job-to-export", work / "out"

    def prepare() -> None:
        shutil.rmtree(job, ignore_errors=True)
        shutil.copytree(work / "job", job, ignore=lambda _, names: SHARED.intersection(names))
        for name in SHARED:
            (job / name).symlink_to(work / "job" / name)

    command = [*RUNNER, "export", job, out, "--dedup", "none", "--no-progress", "--workers", str(workers)]
    return Contender(f"runner export, {workers} workers", command, prepare, aside(out))


def aside(folder: Path) -> Callable[[], None]:
    """Moves a folder out of the way. Deleted later: ext4 is slow to make files where some were deleted."""
    numbers = count()
    return lambda: folder.rename(folder.with_name(f"{folder.name}-{next(numbers)}")) and None
