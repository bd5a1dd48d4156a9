"""The demo with a server of its own, whose every answer is known, and a crash in the middle."""

import time
from pathlib import Path

from tools.checks import Checks
from tools.driver import CommandFailed, Job, command_line, cost_of_a_kill, digests, finish, tell, to_paste
from tools.narrative import say, show_command, show_output
from tools.server import serve

from . import outcome
from .pool import build

SCRIPT = Path(__file__).resolve().parents[2] / "demo"
RATE = 200  # images a second: slow enough that half-way is half-way
WORKERS = 4
CONNECTIONS = 16
OPTIONS = (
    *("--allow-private", "--timeout", "3", "--shard-size", "250"),
    *("--workers", str(WORKERS), "--connections", str(CONNECTIONS)),
)


def run(folder: Path) -> int:
    began = time.monotonic()
    say("Making some 2,000 pictures: photographs, copies, other sizes and qualities, broken ones ...")
    pool = build()
    job, urls, out = Job(folder / "job", announce=show_command), folder / "urls.txt", folder / "export"
    checks = Checks()
    with serve(pool.pages(), RATE) as site:
        urls.write_text(pool.text(site.url))
        say(
            f"A local server has them at {site.url}, {RATE} a second, among dead links, HTML that claims "
            f"to be a JPEG, one URL that never answers and one that drips. {len(pool.lines):,} lines, "
            f"{tell(urls)}."
        )
        done = start_and_kill(job, urls, len(pool.entries) // 2)
        say("Now the same job again. It goes on where it was killed:")
        finish(job.resume())
        resumed = site.record()
        say("Once more. There should be nothing left to do:")
        finish(job.resume())
        last = site.record()

    say("The second pass: hash every image, find the same ones, write the good ones out.")
    finish(job.export(out))
    files = digests(out)
    say("Once more. No byte should change:")
    finish(job.export(out))

    say("What came of it, checked against what was served:")
    checks.that(0 < done < len(pool.entries), f"the kill came after {done:,} of {len(pool.entries):,} items")
    outcome.check_items(checks, job, pool, site.url)
    outcome.check_requests(checks, pool, resumed, cost_of_a_kill(WORKERS, CONNECTIONS, RATE))
    checks.that(last.total == resumed.total, f"the second resume sent {last.total - resumed.total} requests")
    outcome.check_export(checks, out, pool, site.url)
    checks.that(digests(out) == files, f"the second export left all {len(files):,} files as they were")
    say_goodbye(checks, job, out, time.monotonic() - began)
    return checks.exit_code


def start_and_kill(job: Job, urls: Path, half: int) -> int:
    """Start the job and SIGKILL all its processes half-way; how many items were done by then."""
    with job.start(urls, *OPTIONS) as runner:
        while runner.running and items_done(job) < half:
            time.sleep(0.1)
        if not runner.running:
            raise CommandFailed(f"runner start ended with {runner.wait()} before it could be killed")
        runner.kill()
    say(
        "Half-way. Killed parent and workers with SIGKILL: no warning, no time to tidy up. What it knows now:"
    )
    show_command(command_line("status", job.folder))
    show_output(job.ask("status", job.folder))
    return items_done(job)


def items_done(job: Job) -> int:
    try:
        items = job.status()["items"]
    except CommandFailed:  # the job is just being made
        return 0
    return int(items["stored"] + items["failed"])


def say_goodbye(checks: Checks, job: Job, out: Path, seconds: float) -> None:
    if checks.failed:
        say(f"{len(checks.failed)} of these should hold and do not. Look at it: {tell(job.folder.parent)}")
        return
    say(f"All as promised, in {seconds:.0f} s. Where to look:")
    show_output(
        f"{tell(out)}  the pictures, and metadata.jsonl: where each comes from\n"
        f"{tell(job.folder)}  the job: manifests, packed images, hashes, checkpoint\n"
        f"{to_paste('ls', job.folder, '--state', 'failed')}  what failed, and why\n"
        f"{tell(SCRIPT)} URLS.txt  the same with your own list"
    )
