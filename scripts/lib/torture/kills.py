"""SIGKILL parent and workers at random moments of a job; resume; compare with what was served."""

import argparse
import random
import time
from pathlib import Path

from tools.checks import Checks
from tools.children import Child
from tools.driver import Job, cost_of_a_kill, digests, finish
from tools.options import add_numbers
from tools.server import Page, Record, Site, serve

from .pages import make_pages, write_list

RATE = 200  # images a second
WORKERS = 4
CONNECTIONS = 8
OPTIONS = (
    *("--allow-private", "--no-progress", "--shard-size", "250"),
    *("--workers", str(WORKERS), "--connections", str(CONNECTIONS)),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(parser, kills=(20, ""), urls=(4_000, ""), seed=(1, "of the random moments"))


def run(options: argparse.Namespace, folder: Path, checks: Checks) -> None:
    pages = make_pages(options.urls)
    job = Job(folder / "job")
    with serve(pages, RATE) as site:
        urls = write_list(folder / "urls.txt", site.url, pages)
        rng = random.Random(options.seed)
        share = options.urls / options.kills
        kills = sum(kill_once(rng, job, urls, site, share) for _ in range(options.kills))
        finish(go_on(job, urls))
        record = site.record()
        finish(job.resume())
        last = site.record()
    out = folder / "export"
    finish(job.export(out, "--no-progress"))
    files = digests(out)
    finish(job.export(out, "--no-progress"))

    checks.that(kills == options.kills, f"killed {kills} times while it was at work")
    check_store(checks, job, pages, site.url)
    check_requests(checks, record, kills)
    checks.that(last.total == record.total, f"one more resume sent {last.total - record.total} requests")
    checks.that(digests(out) == files, f"a repeated export changed no byte of {len(files):,} files")


def kill_once(rng: random.Random, job: Job, urls: Path, site: Site, share: float) -> bool:
    """Let the job go on, kill it at some moment, mostly after some requests, sometimes before the first."""
    served = site.record().total
    with go_on(job, urls) as child:
        if rng.random() < 0.75:
            wanted = served + rng.uniform(0, 1.6 * share)  # 0.8 on average: the job is to outlive the kills
            while child.running and site.record().total < wanted:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3))
        else:
            time.sleep(rng.uniform(0, 1.5))
        was_running = child.running
        child.kill()
    print(f"killed after {site.record().total - served} requests more", flush=True)
    return was_running


def go_on(job: Job, urls: Path) -> Child:
    """Resume; or start, if the last kill came before there was a job."""
    return job.resume("--no-progress") if (job.folder / "job.json").exists() else job.start(urls, *OPTIONS)


def check_store(checks: Checks, job: Job, pages: dict[str, Page], site: str) -> None:
    items = job.status()["items"]
    checks.that(
        items["stored"] == items["total"] == len(pages),
        f"{items['stored']:,} of {len(pages):,} images are stored",
    )
    bodies = [(address.removeprefix(site), body) for address, body in job.bodies()]
    checks.that(len(bodies) == len({path for path, _ in bodies}) == len(pages), "each is stored once")
    checks.that(all(pages[path].body == body for path, body in bodies), "and has the bytes that were served")


def check_requests(checks: Checks, record: Record, kills: int) -> None:
    cost = cost_of_a_kill(WORKERS, CONNECTIONS, RATE)
    checks.that(
        record.repeated <= kills * cost,
        f"{record.repeated:,} images were fetched again; {kills} x {cost} = {kills * cost:,} could be",
    )
    most = max(record.requests.values())
    checks.that(
        most <= kills + 1,
        f"the most requested URL was requested {most} times",
    )
