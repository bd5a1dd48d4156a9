"""The main job as a user meets it: start, crash, resume, export; then the outcome is checked."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import served, yours

FOLDER = Path(__file__).resolve().parents[3] / "demo"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description=__doc__,
        epilog=f"Everything goes to {FOLDER}: local/ is replaced at each run, lists/NAME/ is gone on with.",
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
    if urls:
        folder = FOLDER / "lists" / urls.stem
        folder.mkdir(parents=True, exist_ok=True)
        return yours.run(folder, urls)
    folder = FOLDER / "local"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return served.run(folder)
