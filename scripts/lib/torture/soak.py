"""Many small bodies: are memory, file descriptors and threads flat, the store small, `status` quick?"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools import nginx
from tools.checks import Checks
from tools.children import Child
from tools.driver import CommandFailed, Job
from tools.memory import resident
from tools.pictures import encode, photograph

SAMPLE_SECONDS = 2.0
STATUS_LIMIT_SECONDS = 1.0
# The last quarter of the run against the second; the first has yet to warm up.
GROWTH_LIMIT = 1.25
# Bytes of the batches for each byte of the bodies, which are shorter than 4 KB.
STORE_LIMIT = 1.3


@dataclass(frozen=True)
class Usage:
    """What a process has at one moment."""

    megabytes: float = 0.0  # without mapped files
    descriptors: int = 0
    threads: int = 0
    mapped: float = 0.0  # megabytes with mapped files, which the system takes back at need

    def __str__(self) -> str:
        return f"{self.megabytes:.0f} MB, {self.descriptors} descriptors, {self.threads} threads"


@dataclass
class Watch:
    """What was seen while the command ran: of the parent, the most of any worker, and of `status`."""

    parent: list[Usage] = field(default_factory=list)
    worker: list[Usage] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=200_000, help="(default: %(default)s)")


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
            seen = watch(child, job)
            code = child.wait()
        seconds = time.monotonic() - began
    status = job.status()
    stored = status["items"]["stored"]
    checks.that(
        code == 0 and stored == options.urls,
        f"{stored:,} images stored in {seconds:.0f} s, {stored / seconds:,.0f} a second",
    )
    check_flat(checks, "parent", seen.parent)
    check_flat(checks, "largest worker", seen.worker)
    check_store(checks, job, status["bytes"])
    checks.that(
        max(seen.delays) < STATUS_LIMIT_SECONDS,
        f"status answered {len(seen.delays)} times, in {min(seen.delays):.2f} to {max(seen.delays):.2f} s",
    )


def watch(child: Child, job: Job) -> Watch:
    """Look at the processes, and at how long `runner status` takes, until the command ends."""
    seen = Watch()
    while child.running:
        time.sleep(SAMPLE_SECONDS)
        parent = usage(child.process.pid)
        workers = [used for pid in child.descendants() if (used := usage(pid)) is not None]
        if parent and workers:
            seen.parent.append(parent)
            seen.worker.append(most(workers))
        began = time.monotonic()
        try:
            done = job.status()["items"]["stored"]
        except CommandFailed:  # the job is just being made
            continue
        seen.delays.append(time.monotonic() - began)
        if seen.parent and len(seen.delays) % 10 == 0:
            print(f"{done:,} stored; parent: {seen.parent[-1]}; worker: {seen.worker[-1]}", flush=True)
    return seen


def usage(pid: int) -> Usage | None:
    """What a process has now; None when it has just ended."""
    own, mapped = resident(pid)
    try:
        descriptors, threads = (len(list(Path(f"/proc/{pid}/{name}").iterdir())) for name in ("fd", "task"))
    except OSError:
        return None
    return Usage(own, descriptors, threads, mapped)


def most(workers: Sequence[Usage]) -> Usage:
    """The largest of each."""
    return Usage(
        max(used.megabytes for used in workers),
        max(used.descriptors for used in workers),
        max(used.threads for used in workers),
        max(used.mapped for used in workers),
    )


def check_flat(checks: Checks, who: str, seen: Sequence[Usage]) -> None:
    for name in ("megabytes", "descriptors", "threads"):
        values = [getattr(used, name) for used in seen]
        quarter = max(1, len(values) // 4)
        early, late = statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
        checks.that(
            late <= GROWTH_LIMIT * early,
            f"{who}: {min(values):.0f} to {max(values):.0f} {name}; {early:.0f} in the second quarter of the "
            f"run, {late:.0f} in the last",
        )
    print(f"      with mapped files up to {max(used.mapped for used in seen):.0f} megabytes")


def check_store(checks: Checks, job: Job, kept: int) -> None:
    sizes = {file.name: file.stat().st_size for file in job.folder.rglob("*") if file.is_file()}
    batches = sum(file.stat().st_size for file in (job.folder / "batches").iterdir())
    checks.that(batches <= STORE_LIMIT * kept, f"the batches have {batches / kept:.3f} x the {kept:,} bytes")
    print(
        f"      the checkpoint {sizes['checkpoint.lmdb'] / kept:.3f} x, "
        f"the whole job folder {sum(sizes.values()) / kept:.3f} x"
    )
