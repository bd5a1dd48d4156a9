"""The demo's list with 1, 2 and 8 workers: every export must have the same bytes."""

import argparse
from pathlib import Path

from demo.pool import build
from tools.checks import Checks
from tools.driver import Job, digests, finish
from tools.server import serve

NUMBERS = (1, 2, 8)
OPTIONS = ("--allow-private", "--no-progress", "--timeout", "3", "--shard-size", "250")


def add_options(_parser: argparse.ArgumentParser) -> None:
    """None: the numbers are what is promised."""


def run(_options: argparse.Namespace, folder: Path, checks: Checks) -> None:
    pool = build()
    exports: list[dict[str, str]] = []
    with serve(pool.pages()) as site:
        urls = folder / "urls.txt"
        urls.write_text(pool.text(site.url))
        for number in NUMBERS:
            job = Job(folder / f"job-{number}")
            finish(job.start(urls, *OPTIONS, "--workers", str(number)))
            out = folder / f"export-{number}"
            finish(job.export(out, "--no-progress", "--workers", str(number)))
            exports.append(digests(out))
            print(f"{number} workers: {len(exports[-1]):,} files", flush=True)
    checks.that(
        all(export == exports[0] for export in exports) and len(exports[0]) > 1000,
        f"{len(exports[0]):,} files are the same, byte for byte, with {', '.join(map(str, NUMBERS))} workers",
    )
