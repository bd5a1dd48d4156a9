"""A million URLs of 1 KB each from nginx: does memory stay flat, and does `status` answer at once?"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import nginx
from tools.checks import Checks
from tools.children import Child
from tools.driver import CommandFailed, Job
from tools.memory import resident
from tools.pictures import encode, photograph

SAMPLE_SECONDS = 2.0
STATUS_LIMIT_SECONDS = 1.0
# Memory of the last quarter of the run against the second; the first has yet to warm up.
GROWTH_LIMIT = 1.25


@dataclass(frozen=True)
class Sample:
    """At one moment: megabytes of the parent and of its largest worker, without and with mapped files."""

    parent: float
    parent_mapped: float
    worker: float
    worker_mapped: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=1_000_000, help="(default: %(default)s)")


def run(options: argparse.Namespace, folder: Path, checks: Checks) -> None:
    www = folder / "www"
    www.mkdir()
    (www / "one.jpg").write_bytes(encode(photograph(1, (64, 48), grain=0), quality=30))
    print(f"One image of {(www / 'one.jpg').stat().st_size} bytes at {options.urls:,} URLs", flush=True)
    job = Job(folder / "job")
    with nginx.serve(www, only="one.jpg") as site:
        urls = folder / "urls.txt"
        with urls.open("w") as file:
            file.writelines(f"{site}/{number:07d}.jpg\n" for number in range(options.urls))
        began = time.monotonic()
        with job.start(urls, "--allow-private", "--no-progress") as child:
            samples, delays = watch(child, job)
            code = child.wait()
        seconds = time.monotonic() - began
    items = job.status()["items"]
    checks.that(
        code == 0 and items["stored"] == options.urls,
        f"{items['stored']:,} images stored in {seconds:.0f} s, {items['stored'] / seconds:,.0f} a second",
    )
    check_memory(checks, "parent", [sample.parent for sample in samples])
    check_memory(checks, "largest worker", [sample.worker for sample in samples])
    print(
        f"  with mapped files, which the system takes back at need: parent up to "
        f"{max(sample.parent_mapped for sample in samples):.0f} MB, "
        f"worker up to {max(sample.worker_mapped for sample in samples):.0f} MB"
    )
    checks.that(
        max(delays) < STATUS_LIMIT_SECONDS,
        f"status answered {len(delays)} times, in {min(delays):.2f} to {max(delays):.2f} s",
    )


def watch(child: Child, job: Job) -> tuple[list[Sample], list[float]]:
    """Memory, and seconds that `runner status` takes, until the command ends."""
    samples: list[Sample] = []
    delays: list[float] = []
    while child.running:
        time.sleep(SAMPLE_SECONDS)
        workers = [resident(pid) for pid in child.descendants()]
        if workers and child.running:
            samples.append(Sample(*resident(child.process.pid), *max(workers)))
        began = time.monotonic()
        try:
            done = job.status()["items"]["stored"]
        except CommandFailed:  # the job is just being made
            continue
        delays.append(time.monotonic() - began)
        if samples and len(delays) % 10 == 0:
            parent, worker = samples[-1].parent, samples[-1].worker
            print(f"{done:,} stored; parent {parent:.0f} MB, worker {worker:.0f} MB", flush=True)
    return samples, delays


def check_memory(checks: Checks, who: str, megabytes: Sequence[float]) -> None:
    quarter = max(1, len(megabytes) // 4)
    early = statistics.median(megabytes[quarter : 2 * quarter])
    late = statistics.median(megabytes[-quarter:])
    checks.that(
        late <= GROWTH_LIMIT * early,
        f"{who}: {min(megabytes):.0f} to {max(megabytes):.0f} MB; "
        f"{early:.0f} in the second quarter of the run, {late:.0f} in the last",
    )
