"""One URL that never answers and one that drips for ever, among many: are the others slowed?"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from tools.checks import Checks
from tools.driver import Job, finish
from tools.server import Page, serve

from .pages import make_pages, write_list

RATE = 500  # images a second: what the others can have at best
OPTIONS = ("--allow-private", "--no-progress", "--timeout", "5", "--workers", "2", "--connections", "16")
# Two runs of the same thing differ by this much on a machine that has other things to do.
TOLERANCE = 1.25


@dataclass(frozen=True)
class Times:
    """Seconds from the start of the command."""

    others: float  # until the last good image had been served
    whole: float  # until the command ended


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=2_000, help="good ones (default: %(default)s)")


def run(options: argparse.Namespace, folder: Path, checks: Checks) -> None:
    pages = make_pages(options.urls)
    body = bytes(100_000)
    bad = {"/hang.jpg": Page(body, manner="hang"), "/drip.jpg": Page(body, manner="drip")}
    without = measure(folder / "without", pages)
    among = measure(folder / "with", bad | pages)  # first in the list: in the way of all
    for name, times in (("without", without), ("with the two", among)):
        print(f"{name}: {options.urls:,} served after {times.others:.1f} s, ended after {times.whole:.1f} s")
    checks.that(
        among.others <= TOLERANCE * without.others,
        f"the others took {among.others / without.others:.2f} times as long as without the two",
    )


def measure(folder: Path, pages: dict[str, Page]) -> Times:
    folder.mkdir()
    with serve(pages, RATE) as site:
        urls = write_list(folder / "urls.txt", site.url, pages)
        began = time.monotonic()
        finish(Job(folder / "job").start(urls, *OPTIONS))
        return Times(others=site.record().last_answer - began, whole=time.monotonic() - began)
