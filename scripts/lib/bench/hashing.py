"""Hash photographs: runner, bare imagehash, the original script, imagededup, and the decoder alone."""

import argparse
import shutil
import sys
from functools import partial
from pathlib import Path

from tools.driver import RUNNER, CommandFailed, Job
from tools.filled import borrow
from tools.options import add_numbers

from .measure import PROGRAMS, Contender, command, compare
from .peers import IMAGEDEDUP, those_there
from .photos import Photos
from .results import Findings, Table
from .workspace import workspace


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(parser, images=(10_000, "in each run"), rounds=(3, ""), workers=(8, "processes of each"))


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Photos.ensure(folder, options.images)
    with workspace(folder / "hash") as work:
        job = photos.fill_job(work / "job", options.images)
        files = photos.copy_to(work / "files", options.images)
        count, workers = options.images, options.workers
        makers = [
            partial(bare, "bare imagehash", "phash", job, count, workers),
            partial(runner, work / "job-to-hash", job, count, workers),
            partial(runner, work / "job-to-hash", job, count, workers, "fast"),
            partial(original, files, count),
            partial(imagededup, folder, files, count, workers),
            partial(bare, "the decoder alone", "decode", job, count, workers),
        ]
        runs = compare(those_there(makers), options.rounds)
    return Findings([Table(f"{workers} processes", "image", runs, photos.size(count))])


def bare(name: str, what: str, job: Path, count: int, workers: int) -> Contender:
    words = [sys.executable, PROGRAMS / "reference_hash.py", job / "batches", str(workers), what]
    return command(name, words, count)


def original(files: Path, count: int) -> Contender:
    return command("the original script", [sys.executable, PROGRAMS / "original_hash.py", files], count)


def imagededup(folder: Path, files: Path, count: int, workers: int) -> Contender:
    words = [IMAGEDEDUP.python(folder), PROGRAMS / "imagededup_hash.py", files, str(workers)]
    return command("imagededup", words, count)


def runner(folder: Path, job: Path, count: int, workers: int, recipe: str = "exact") -> Contender:
    """Each run hashes a job that has no hashes."""

    def prepare() -> None:
        borrow(job, folder, "batches", "manifests")

    def clean_up() -> None:
        hashed = Job(folder).status()["hash"]["hashed"]
        if hashed != count:
            raise CommandFailed(f"runner hashed {hashed:,} of {count:,} images: see {folder}")
        shutil.rmtree(folder)

    words = [*RUNNER, "hash", folder, "--no-progress", "--workers", str(workers), "--recipe", recipe]
    name = "runner" if recipe == "exact" else f"runner, {recipe} recipe"
    return command(name, words, count, prepare, clean_up)
