"""`runner hash` against as many processes that only call imagehash.phash, over the same stored images."""

import argparse
import shutil
import sys
from pathlib import Path

from tools import nginx
from tools.driver import RUNNER, Job, finish

from . import photos, reference_hash
from .timing import Contender, compare, report


def add_options(parser: argparse.ArgumentParser) -> None:
    # No image twice: runner decodes equal bytes once, which would flatter it.
    parser.add_argument(
        "--urls",
        type=int,
        default=photos.COUNT,
        choices=range(1, photos.COUNT + 1),
        metavar="N",
        help="images in each run, at most %(default)s (default)",
    )
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=8, help="processes on both sides (default: %(default)s)"
    )


def run(options: argparse.Namespace, folder: Path) -> None:
    pictures = photos.ensure_photos(folder)
    job = Job(folder / "job")
    shutil.rmtree(job.folder, ignore_errors=True)
    with nginx.serve(pictures) as site:
        urls = photos.write_list(folder / "urls.txt", site, options.urls)
        finish(job.start(urls, "--allow-private", "--no-progress"))
    try:
        contenders = [
            reference(job.folder, options.workers),
            runner(folder / "job-to-hash", job.folder, options.workers),
        ]
        results = compare(contenders, options.runs)
    finally:
        shutil.rmtree(job.folder)
    byte_count = photos.served_bytes(pictures, options.urls)
    report(folder / "hash.json", results, count=options.urls, byte_count=byte_count, workers=options.workers)


def reference(job: Path, workers: int) -> Contender:
    return Contender(
        f"imagehash.phash, {workers} processes",
        [sys.executable, reference_hash.__file__, job / "batches", str(workers)],
    )


def runner(folder: Path, job: Path, workers: int) -> Contender:
    """Each run hashes a fresh copy of the job."""

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(job, folder)

    def clean_up() -> None:
        status = Job(folder).status()
        if status["hash"]["hashed"] != status["items"]["total"]:
            raise SystemExit(f"runner hashed {status['hash']} of {status['items']}: see {folder}")
        shutil.rmtree(folder)

    return Contender(
        f"runner hash, {workers} workers",
        [*RUNNER, "hash", folder, "--no-progress", "--workers", str(workers)],
        prepare,
        clean_up,
    )
