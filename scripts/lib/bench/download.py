"""`runner start` against a bare libcurl loop that writes LMDB: same list, same nginx, whole processes."""

import argparse
import shutil
import sys
from pathlib import Path

from tools import nginx
from tools.driver import RUNNER, Job

from . import photos, reference_download
from .timing import Contender, compare, report

TRANSPORTS = ("curl", "requests")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=20_000, help="images in each run (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--transport", choices=TRANSPORTS, help="only this row of runner (default: all)")


def run(options: argparse.Namespace, folder: Path) -> None:
    pictures = photos.ensure_photos(folder)
    with nginx.serve(pictures) as site:
        urls = photos.write_list(folder / "urls.txt", site, options.urls)
        contenders = [reference(folder / "reference", urls)]
        contenders += [
            runner(folder / "job", urls, transport)
            for transport in TRANSPORTS
            if options.transport in (transport, None)
        ]
        results = compare(contenders, options.runs)
    byte_count = photos.served_bytes(pictures, options.urls)
    report(folder / "download.json", results, count=options.urls, byte_count=byte_count)


def reference(folder: Path, urls: Path) -> Contender:
    return Contender(
        f"libcurl loop, {reference_download.PROCESSES} processes",
        [sys.executable, reference_download.__file__, urls, folder],
        prepare=lambda: shutil.rmtree(folder, ignore_errors=True),
        clean_up=lambda: shutil.rmtree(folder),
    )


def runner(folder: Path, urls: Path, transport: str) -> Contender:
    def clean_up() -> None:
        items = Job(folder).status()["items"]
        if items["stored"] != items["total"]:
            raise SystemExit(f"runner stored {items['stored']:,} of {items['total']:,} images: see {folder}")
        shutil.rmtree(folder)

    return Contender(
        f"runner start, {transport}",
        [*RUNNER, "start", folder, urls, "--allow-private", "--no-progress", "--transport", transport],
        prepare=lambda: shutil.rmtree(folder, ignore_errors=True),
        clean_up=clean_up,
    )
