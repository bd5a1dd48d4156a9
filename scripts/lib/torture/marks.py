"""A job with a million marks: how soon does a resume send its first request, or say that nothing is left?"""

import argparse
import time
from itertools import repeat
from pathlib import Path

from tools.checks import Checks
from tools.driver import Job, finish
from tools.filled import fill
from tools.server import Page, serve

FIRST_REQUEST_SECONDS = 5.0
NOTHING_LEFT_SECONDS = 3.0
BODY = bytes.fromhex("ffd8ffe000104a464946000101")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=1_000_000, help="(default: %(default)s)")


def run(options: argparse.Namespace, folder: Path, checks: Checks) -> None:
    job = Job(folder / "job")
    with serve({"/last": Page(BODY)}) as site:
        urls = folder / "urls.txt"
        with urls.open("w") as file:
            file.writelines(f"{site.url}/{number}\n" for number in range(options.urls - 1))
            file.write(f"{site.url}/last\n")
        fill(job.folder, urls, repeat(BODY, options.urls - 1))
        print(f"A job with {options.urls - 1:,} marks", flush=True)
        began = time.monotonic()
        with job.resume("--no-progress") as child:
            while child.running and not site.record().total:
                time.sleep(0.01)
            first = time.monotonic() - began
            child.wait()
        checks.that(site.record().total == 1, "one request was left to send")
        checks.that(first < FIRST_REQUEST_SECONDS, f"it was sent {first:.1f} s after the command began")
        began = time.monotonic()
        finish(job.resume("--no-progress"))
        seconds = time.monotonic() - began
        checks.that(site.record().total == 1, "with nothing left, no request was sent")
        checks.that(seconds < NOTHING_LEFT_SECONDS, f"and it took {seconds:.1f} s to say so")
