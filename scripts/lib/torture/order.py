"""Trace a download's system calls: is every chunk of images on disk before anybody hears of it?"""

import argparse
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tools.checks import Checks
from tools.children import Child
from tools.driver import RUNNER, Job, finish
from tools.server import serve

from .pages import make_pages, write_list

OPTIONS = ("--allow-private", "--no-progress", "--shard-size", "500", "--workers", "2")
CALLS = "openat,pwrite64,pwritev,write,writev,fdatasync"
_CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?:\d+<(?P<file>[^>]*)>)?(?P<rest>.*)")
# LMDB commits by writing so many bytes of a meta page, through a descriptor that it has opened with O_DSYNC.
META_BYTES = "= 120"


class Call(NamedTuple):
    """A system call of a thread, once it has returned."""

    thread: str
    name: str
    file: str
    rest: str


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=2_000, help="(default: %(default)s)")


def run(options: argparse.Namespace, folder: Path, checks: Checks) -> None:
    if shutil.which("strace") is None:
        raise SystemExit("strace is not here: install it first (for example: apt install strace)")
    pages = make_pages(options.urls)
    trace = folder / "trace"
    with serve(pages) as site:
        urls = write_list(folder / "urls.txt", site.url, pages)
        strace = ["strace", "-f", "-y", "-qq", "-e", f"trace={CALLS}", "-o", trace]
        finish(Child([*strace, *RUNNER, "start", folder / "job", urls, *OPTIONS]))
    items = Job(folder / "job").status()["items"]
    checks.that(items["stored"] == options.urls, f"{items['stored']:,} images stored under strace")
    with trace.open(errors="replace") as lines:
        order = Order()
        for call in finished(lines):
            order.follow(call)
    said, broken = order.said, order.broken
    checks.that(said["commit"] > said["report"] > 0, f"{said['commit']} commits, {said['report']} reports")
    checks.that(
        not broken["meta"],
        f"a file's meta page was written {broken['meta']} times before its pages were synced",
    )
    checks.that(
        not broken["report"], f"{broken['report']} reports left a worker before the images were committed"
    )
    checks.that(said["checkpoint"] > 0, f"{said['checkpoint']} commits of the checkpoint, all by one thread")
    checks.that(
        len(order.markers) == 1, "which is the only one that writes it, and knows no more than the reports"
    )


def finished(lines: Iterable[str]) -> Iterator[Call]:
    """The calls in the order in which they returned; strace splits those during which another one did."""
    begun: dict[str, str] = {}
    for line in lines:
        thread, _, rest = line.rstrip().partition(" ")
        if rest.endswith("<unfinished ...>"):
            begun[thread] = line.replace("<unfinished ...>", "").rstrip()
            continue
        if "resumed>" in rest and thread in begun:
            line = begun.pop(thread) + rest.partition("resumed>")[2]
        if match := _CALL.match(line):
            yield Call(match["thread"], match["name"], match["file"] or "", match["rest"].rstrip())


class Order:
    """Follows each thread's writes: pages, sync, meta page, and only then a word to the parent."""

    def __init__(self) -> None:
        self.said: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.markers: set[str] = set()
        self._open: dict[tuple[str, str], bool] = {}  # (thread, file) -> synced, while not committed

    def follow(self, call: Call) -> None:
        here = call.thread, call.file
        if call.file.startswith("socket:"):
            self._report(call.thread)
        elif not call.file.endswith(".lmdb"):
            return
        elif call.name == "fdatasync":
            self._open[here] = True
        elif call.name == "pwrite64" and call.rest.endswith(META_BYTES):
            self.said["commit"] += 1
            self.broken["meta"] += not self._open.pop(here, True)
        else:
            self._open[here] = False
        if call.file.endswith("/checkpoint.lmdb"):
            self.markers.add(call.thread)
            self.said["checkpoint"] += call.name == "fdatasync"

    def _report(self, thread: str) -> None:
        uncommitted = [file for owner, file in self._open if owner == thread and "/batches/" in file]
        self.said["report"] += 1
        self.broken["report"] += bool(uncommitted)
