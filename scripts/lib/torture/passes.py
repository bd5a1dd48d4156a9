"""SIGKILL hash, dedup and export at random moments; is the export in the end that of an undisturbed run?"""

import argparse
import random
import shutil
import time
from pathlib import Path

from tools.checks import Checks
from tools.driver import Job, digests, finish
from tools.options import add_numbers
from tools.server import serve

from .pages import make_pages, write_list

OPTIONS = ("--allow-private", "--no-progress", "--shard-size", "250")
EXPORT = ("--no-progress", "--workers", "2")


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(parser, kills=(20, ""), urls=(4_000, ""), seed=(1, "of the random moments"))


def run(options: argparse.Namespace, folder: Path, checks: Checks) -> None:
    pages = make_pages(options.urls)
    with serve(pages) as site:
        finish(Job(folder / "job").start(write_list(folder / "urls.txt", site.url, pages), *OPTIONS))
    shutil.copytree(folder / "job", folder / "downloaded")
    began = time.monotonic()
    finish(Job(folder / "job").export(folder / "out", *EXPORT))
    seconds = time.monotonic() - began
    expected = digests(folder / "out")
    rng = random.Random(options.seed)
    killed = rounds = wrong = 0
    while killed < options.kills:
        start_over(folder)
        rounds += 1
        while killed < options.kills and kill_once(rng, Job(folder / "job"), folder / "out", seconds):
            killed += 1
        finish(Job(folder / "job").export(folder / "out", *EXPORT))
        wrong += digests(folder / "out") != expected
        print(f"killed {killed} times, {rounds} exports completed, {wrong} of them wrong", flush=True)
    checks.that(killed == options.kills, f"killed {killed} times while it was at work, in {rounds} rounds")
    checks.that(
        not wrong,
        f"{wrong} of the {rounds} exports differ from the {len(expected):,} files of one not killed",
    )
    print(Job(folder / "job").ask("verify", folder / "job", "--deep"))


def kill_once(rng: random.Random, job: Job, out: Path, seconds: float) -> bool:
    """False if the export was complete before it could be killed."""
    with job.export(out, *EXPORT) as child:
        time.sleep(rng.uniform(0, seconds))
        was_running = child.running
        child.kill()
    return was_running


def start_over(folder: Path) -> None:
    """Back to the job as it was downloaded, nothing exported."""
    for name in ("job", "out"):
        shutil.rmtree(folder / name)
    shutil.copytree(folder / "downloaded", folder / "job")
