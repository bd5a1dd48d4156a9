"""The main job as a user meets it: start, crash, resume, export; then the outcome is checked."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from tools.driver import tell

from . import served, yours

FOLDER = Path(__file__).resolve().parents[3] / "demo"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=__doc__, epilog=f"Everything goes to {FOLDER}, replaced at each run."
    )
    parser.add_argument(
        "urls",
        nargs="?",
        type=Path,
        help="your own list of URLs; without it, a local server's 2,000 pictures",
    )
    urls = parser.parse_args(arguments).urls
    if urls and not urls.is_file():
        parser.error(f"there is no file {urls}")
    if urls and urls.resolve().is_relative_to(FOLDER):
        parser.error(f"{urls} is in {tell(FOLDER)}, which is replaced at each run: copy it elsewhere first")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    return yours.run(FOLDER, urls) if urls else served.run(FOLDER)
